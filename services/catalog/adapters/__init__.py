"""The catalogue's index in SQL, and its reading of batches and packs."""
