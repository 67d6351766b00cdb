"""One instance of 2 GiB from C-STORE to archived, and the peak memory of every service meanwhile.

Beside it stands the same site with the same service processes before anything large came: the ratio says what size
costs. Copies, de-identification and proofs are those of the default policy. Fails when a service exceeds its bound.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from bench.pipeline import peak_memory
from bench.support import MB, ct_series, result, table
from cli import lifecycle, send
from cli.api import Api
from cli.embedded.ports import SERVICES, free_base
from cli.site import Site
from cli.waiting import State, Waiting

#: Frames of 512 × 512 × 16 bits in one instance: 2 GiB.
FRAMES = 4096
_FRAME = 512 * 512 * 2
_PATIENCE = 1800.0
#: No service may grow beyond this, MB, whatever the size of an object.
BOUND = 250


def main() -> int:
    """Send a small study, note the peaks, send the large instance, and print the peaks of both."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as folder:
        site = Site(Path(folder) / "site")
        lifecycle.start(site, free_base())
        try:
            small = ct_series(Path(folder), 4, seed=0)
            _archive(site, small)
            before = peak_memory(site)
            path = large(Path(folder), small[0])
            seconds = _archive(site, [path])
            after, copies = peak_memory(site), _proven(site, path)
        finally:
            lifecycle.end(site)
    print(f"\none instance of {FRAMES * _FRAME / MB:,.0f} MB, archived in {seconds:.0f} s; proven copies: {copies}\n")
    table(("service", "MB small", "MB large"), [(name, before[name], after[name]) for name in sorted(SERVICES)])
    largest = max(after[name] for name in SERVICES)
    ratios = {"growth": max(after[name] / before[name] for name in SERVICES), "instance": largest / (2**31 / MB)}
    figures = {"small_mb": before, "large_mb": after, "largest_mb": largest, "seconds": seconds, "copies": copies}
    result("large", ratios, figures)
    return 0 if largest < BOUND else 1


def large(folder: Path, sample: Path) -> Path:
    """An enhanced CT of one study, written frame by frame behind a header like ``sample``'s."""
    image = dcmread(sample)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.ImageType, image.NumberOfFrames = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], FRAMES
    del image.PixelData
    path = folder / "large.dcm"
    image.save_as(path, enforce_file_format=True)
    random = np.random.default_rng(1)
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + (FRAMES * _FRAME).to_bytes(4, "little"))
        for _ in range(FRAMES):
            file.write(random.bytes(_FRAME))
    return path


def _archive(site: Site, paths: list[Path]) -> float:
    """Seconds from the first byte sent until everything is archived."""
    host, _, port = site.endpoints()["dicom"].rpartition(":")
    began = time.monotonic()
    report = send.send(paths, host=host, port=int(port))
    if report.failed:
        raise RuntimeError(f"refused: {report.failed[0].why}")
    waiting = Waiting(site, Api.of(site), None, State.archived)
    while missing := waiting.missing():
        if time.monotonic() - began > _PATIENCE:
            raise RuntimeError(f"not archived: {missing}")
        time.sleep(1)
    return time.monotonic() - began


def _proven(site: Site, path: Path) -> list[str]:
    """The forms and targets of an instance's proven copies, and why it is withheld from others."""
    uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
    (version,) = Api.of(site).get(f"/api/where/{uid}")["versions"]
    copies = [f"{copy['target']} {copy['form']}" for copy in version["copies"] if copy["state"] == "proven"]
    return sorted([*copies, *(f"withheld: {held['reason']}" for held in version["withheld"])])


if __name__ == "__main__":
    sys.exit(main())
