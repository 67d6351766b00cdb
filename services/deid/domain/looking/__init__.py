"""The second look: what is about to go out, searched by other code for what the original would give away."""
