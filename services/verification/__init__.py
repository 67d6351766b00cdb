"""Reads copies back and proves them, object by object."""
