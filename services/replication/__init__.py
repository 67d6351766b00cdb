"""Writes the copies of sealed packs to their targets, and removes those that nobody wants any longer."""
