"""Technology without business words: messaging, storage, SQL, observability, errors, settings."""
