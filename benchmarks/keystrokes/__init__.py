"""A day of typing, replayed on the real language server and on the programs it is compared with."""
