"""What de-identification needs from outside."""
