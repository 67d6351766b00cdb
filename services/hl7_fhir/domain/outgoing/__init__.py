"""Messages that leave: to whom, what they say, and what an answer means."""
