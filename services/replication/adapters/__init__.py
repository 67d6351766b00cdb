"""Targets, the sources of what they get, and the memory that both share."""
