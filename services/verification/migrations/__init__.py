"""Versions of verification's tables."""
