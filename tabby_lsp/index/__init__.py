"""What other files hold that may help: found, read and cut into chunks."""
