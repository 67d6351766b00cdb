"""Who gets what, and what an answer means."""
