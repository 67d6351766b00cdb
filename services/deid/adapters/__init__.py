"""Stores, keys and SQL of de-identification."""
