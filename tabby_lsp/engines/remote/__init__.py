"""Models that a server runs: the only folder of the engines that opens connections.

Importing `engine` loads the HTTP client, which takes a tenth of a second: only who has configured
such an engine pays for it.
"""
