"""Benchmarks: each runs the peer, or the limit of the machine, beside ours in one run and prints the ratio."""
