"""Decisions of verification: whether bytes read back are what was sealed, and what is said about it."""
