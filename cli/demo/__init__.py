"""``causeway demo``: real DICOM and an order through everything, and what is proven where."""

from cli.demo.command import command

__all__ = ["command"]
