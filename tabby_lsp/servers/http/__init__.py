"""HTTP for the clients of Tabby, OpenAI and TabbyAPI, and for a browser."""
