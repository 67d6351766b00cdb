"""The decisions of tier routing: pure functions and frozen types."""
