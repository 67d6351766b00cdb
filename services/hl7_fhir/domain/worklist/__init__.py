"""Scheduled steps, their Tasks, and the worklist that modalities ask for (PS3.4 annex K)."""
