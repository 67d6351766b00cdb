"""Two migrations of a service that does not exist."""
