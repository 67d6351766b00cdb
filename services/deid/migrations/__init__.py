"""The schema of de-identification, version by version."""
