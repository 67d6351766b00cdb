"""Reading a message as it was sent: delimiters, character sets, what must be there, and why one is refused."""
