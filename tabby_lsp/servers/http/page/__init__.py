"""The web page at `/`, and the routes that it asks."""
