"""Studies: what images say of them, and to which order and patient they belong."""
