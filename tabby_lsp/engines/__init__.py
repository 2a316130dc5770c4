"""Who runs a model: llama.cpp on this machine, a server, or a script that says what it was told."""
