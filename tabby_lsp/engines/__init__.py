"""Who runs a model: llama.cpp on this machine, or a script that answers what it was told."""
