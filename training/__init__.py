"""Makes the starter model: from packages with permissive licences to a GGUF file."""
