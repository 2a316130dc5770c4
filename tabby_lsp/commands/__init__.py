"""What the command line does besides serving an editor: one module for each command."""
