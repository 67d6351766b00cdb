"""What forwarding does with each event, and what it answers over HTTP."""
