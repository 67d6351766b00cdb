"""A planted corpus of our own, from a seed: files with identifiers in them, and the key that says what must go."""
