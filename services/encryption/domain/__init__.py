"""Decisions of encryption: what is sealed, from which bytes, under which keys."""
