"""The schema of forwarding, version by version."""
