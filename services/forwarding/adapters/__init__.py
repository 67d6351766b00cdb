"""Destinations, stores and the ledger as they really are."""
