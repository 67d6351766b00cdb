"""How much memory de-identification takes: ``python -m tests.unit.deid.memory <case> <number>`` prints it in bytes.

In a process of its own, for what a process once had it seldom gives back.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from contracts.formats.archive import layout
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element, encode
from services.deid.domain.deflated import INFLATED_LIMIT
from services.deid.domain.file_meta import file_meta
from services.deid.domain.fragments import FRAME_LIMIT
from services.deid.domain.packing import CleanPack, Original, clean_pack
from services.deid.domain.part10 import HEADER_LIMIT
from services.deid.domain.pixels import CHUNK
from services.deid.domain.workspace import Workspace
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import describe, project, trusting


def peak() -> int:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def slices(count: int) -> Iterator[Original]:
    """Small slices, made as they are asked for: one file with other UIDs."""
    (slice_,) = make_instances(1)
    file, uid = as_file(slice_), str(slice_.SOPInstanceUID)
    for number in range(count):
        other = file.replace(uid.encode(), f"{uid[:-7]}{number:07d}".encode())
        yield Original(describe(other), (lambda other=other: [other],))


def frames(count: int) -> bytes:
    """A header with a group of attributes for each of ``count`` frames."""
    content = Element(0x00209111, "SQ", items=((Element(0x00189220, "FD", bytes(8)),),))
    position = Element(0x00209113, "SQ", items=((Element(0x00200032, "DS", b"1.23456\\-2.345678\\3.4"),),))
    return of(Element(0x52009230, "SQ", items=((content, position),) * count))


def of(*elements: Element) -> bytes:
    """A CT object with these attributes."""
    own = (Element(0x00080016, "UI", CTImageStorage.encode()), Element(0x00080018, "UI", b"1.2.3"))
    return file_meta(CTImageStorage, "1.2.3", ExplicitVRLittleEndian) + encode((*own, *elements), EXPLICIT_LITTLE)


def deflated(size: int) -> bytes:
    """An object whose ``size`` bytes of pixels nearly vanish when they are deflated."""
    (slice_,) = make_instances(1)
    slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    slice_.PixelData = bytes(size)
    return as_file(slice_)


def packed(originals: Iterator[Original], trust: bool = False) -> CleanPack:
    """The pack of these, gone through once as it is stored."""
    using = Workspace.of(tempfile.TemporaryFile)
    pack = clean_pack("source", originals, trusting() if trust else project(), using)
    for _ in pack.archive():
        pass
    assert layout(pack.entries).total
    return pack


def commented(size: int) -> bytes:
    """An object whose one frame of ``size`` bytes begins with a comment."""
    (slice_,) = make_instances(1)
    slice_.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    codes = b"\xff\xc4\0\x14\0\1" + bytes(15) + b"\x0f"  # a zero, and fifteen bits behind it
    scan = b"\xff\xc3\0\x0b\x10\xff\xff\xff\xff\1\1\x11\0\xff\xda\0\x08\1\1\0\1\0\0"
    frame = b"\xff\xd8\xff\xfe\0\x0aKilmiste" + codes + scan
    slice_.PixelData = encapsulate([frame + bytes(size - len(frame) - 2) + b"\xff\xd9"])
    slice_["PixelData"].VR = "OB"
    return as_file(slice_)


CASES: dict[str, Callable[[int], bytes]] = {
    "frames": frames,
    "values": lambda _: of(Element(0x00282000, "OB", bytes(HEADER_LIMIT - 1000))),
    "text": lambda _: of(*(Element(0x00181030, "UT", b"KNEE " * (HEADER_LIMIT // 5 - 1000)),)),
    "frame": lambda _: commented(FRAME_LIMIT),
    "deflated": lambda _: deflated(INFLATED_LIMIT - 10_000),
}


def main(case: str, number: int) -> int:
    """What ``case`` takes beyond what everything takes."""
    packed(slices(20))
    if case == "slices":
        before = peak()
        assert len(packed(slices(number)).released) == number
        return peak() - before
    with tempfile.NamedTemporaryFile() as kept:
        kept.write(CASES[case](number))
        kept.flush()
        told = describe(Path(kept.name).read_bytes())
        # What making it took is not to hide what cleaning it takes.
        Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        original = Original(told, (lambda: iter(partial(kept.read, CHUNK), b""),))
        kept.seek(0)
        assert len(packed(iter([original]), trust=True).released) == 1
    return peak() - before


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], int(sys.argv[2]))))
