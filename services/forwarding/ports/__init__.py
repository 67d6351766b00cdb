"""What forwarding needs from outside."""
