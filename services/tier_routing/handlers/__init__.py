"""What tier routing does when an event, a moment or a question arrives."""
