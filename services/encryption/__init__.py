"""Checks each pack against what was received, and seals it under the keys of its domain."""
