"""dcmtk's dcmsend as the sender: an association of its own for each process."""

import os
import subprocess
import time
from pathlib import Path


def shares(files: list[Path], associations: int) -> list[list[Path]]:
    """``files`` dealt out to associations."""
    return [files[number::associations] for number in range(associations)]


def dcmsend(files: list[Path], port: int, associations: int) -> float:
    """Seconds until the last of so many associations, begun together, has sent its share; RuntimeError when one fails.

    dcmsend looks into its files before it connects; every receiver waits equally long for that.
    """
    environment = {**os.environ, "TCP_NODELAY": "1"}
    command = ["dcmsend", "-q", "-nuc", "--max-send-pdu", "131072", "127.0.0.1", str(port)]
    began = time.monotonic()
    senders = [subprocess.Popen([*command, *map(str, share)], env=environment) for share in shares(files, associations)]
    failed = [sender.wait() for sender in senders]
    if any(failed):
        raise RuntimeError(f"dcmsend ended with {failed}")
    return time.monotonic() - began
