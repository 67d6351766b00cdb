"""The answer key of a planted corpus, applied to what a cleaner made of it (the README of the corpus)."""
