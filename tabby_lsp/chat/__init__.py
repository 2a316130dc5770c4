"""What is said to a chat model about code, and what is made of what it says. Pure."""
