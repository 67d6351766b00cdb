"""Fixtures and makers that tests of several parts share."""
