"""SQL state and the MLLP server."""
