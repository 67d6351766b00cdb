"""Targets, keys and the database of verification."""
