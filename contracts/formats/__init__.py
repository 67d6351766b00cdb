"""The formats of a batch, a pack and a sealed pack, specified in docs/formats.md. No I/O: bytes in, bytes out."""
