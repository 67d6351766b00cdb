"""Versions of the catalogue's schema."""
