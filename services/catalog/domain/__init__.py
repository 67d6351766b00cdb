"""Decisions of the catalogue: pure functions and frozen types."""
