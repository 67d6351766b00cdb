"""What arrives at the catalogue: events, searches, and the passing of time."""
