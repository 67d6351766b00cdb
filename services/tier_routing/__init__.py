"""Decides which copies a study gets, keeps the ledger of their proofs, and finds what is overdue."""
