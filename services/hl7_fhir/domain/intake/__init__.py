"""Taking messages: their senders, their answers, and how long they are kept."""
