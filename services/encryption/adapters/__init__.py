"""Stores and keys of encryption."""
