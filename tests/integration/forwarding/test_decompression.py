"""A destination that takes nothing compressed: it gets what is lossless decompressed, as dcmtk would, if it may."""

import shutil
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.filereader import read_dataset

from contracts.events import ForwardDelivered, ForwardFailed
from services.forwarding.adapters.decoders import Bounds, CannotConvert, Decoder
from services.forwarding.domain.syntaxes import DECOMPRESSION_FAILED, DEFLATED, EXPLICIT, TOO_LARGE
from shared.errors import RetryLater
from tests.integration.forwarding.site import ForwardingSite, StoreScp, expected, landed
from tests.integration.forwarding.stow import Stow, serving
from tests.support.ports import free_ports

Make = Callable[..., StoreScp]
MONOCHROME, SIGNED, COLOUR = "MR_small.dcm", "CT_small.dcm", "SC_rgb_small_odd.dcm"
#: How dcmtk compresses and decompresses: for each syntax both commands.
CODECS = {
    "jpeg-57": (["dcmcjpeg", "+el", "+sv", "4"], ["dcmdjpeg", "+cn"]),
    "jpeg-70": (["dcmcjpeg", "+e1"], ["dcmdjpeg", "+cn"]),
    "jpeg-ls": (["dcmcjpls", "+el"], ["dcmdjpls"]),
    "rle": (["dcmcrle"], ["dcmdrle"]),
    "deflated": (["dcmconv", "+td"], ["dcmconv", "+te"]),
}
ROOMY = Bounds(memory=2 * 1024**3, seconds=60)


def bundled(name: str) -> bytes:
    """A file that comes with pydicom."""
    return Path(str(get_testdata_file(name))).read_bytes()


def several(name: str) -> bytes:
    """The same with three frames that differ."""
    data = pydicom.dcmread(BytesIO(bundled(name)))
    one, size = data.PixelData, data.Rows * data.Columns * data.SamplesPerPixel * data.BitsAllocated // 8
    data.NumberOfFrames = 3
    data.PixelData = one[:size] + one[size // 2 : size] + one[: size // 2] + one[:size][::-1]
    data.PixelData += bytes(len(data.PixelData) % 2)
    with BytesIO() as file:
        data.save_as(file)
        return file.getvalue()


def convert(command: list[str], file: bytes, folder: Path) -> bytes:
    """What a program of dcmtk makes of a file."""
    if shutil.which(command[0]) is None:
        pytest.skip("no dcmtk: apt-get install dcmtk")
    (folder / "in.dcm").write_bytes(file)
    subprocess.run([*command, str(folder / "in.dcm"), str(folder / "out.dcm")], check=True, capture_output=True)
    return (folder / "out.dcm").read_bytes()


def compressed(codec: str, original: bytes, folder: Path) -> tuple[bytes, bytes]:
    """A file as dcmtk compresses it, and that as dcmtk decompresses it."""
    there, back = CODECS[codec]
    file = convert(there, original, folder)
    return file, convert(back, file, folder)


def in_planes(data: pydicom.Dataset) -> bytes:
    """The samples of a data set, whichever way they are interleaved."""
    return data.pixel_array.tobytes()


@pytest.mark.dcmtk
@pytest.mark.parametrize("make", [bundled, several])
@pytest.mark.parametrize("name", [MONOCHROME, SIGNED, COLOUR])
@pytest.mark.parametrize("codec", CODECS)
async def test_it_decodes_as_dcmtk_does(codec: str, name: str, make: Callable[[str], bytes], tmp_path: Path) -> None:
    original = make(name)
    file, oracle = compressed(codec, original, tmp_path)
    data, one = landed(file)
    decoder = Decoder(ROOMY)
    found = await collect(decoder, one.transfer_syntax, data[one.dataset_offset :])
    await decoder.close()
    seen = read_dataset(BytesIO(found), is_implicit_VR=False, is_little_endian=True)
    seen.file_meta = pydicom.dcmread(BytesIO(oracle)).file_meta
    wanted = pydicom.dcmread(BytesIO(oracle))
    assert seen.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert in_planes(seen) == in_planes(wanted) == in_planes(pydicom.dcmread(BytesIO(original)))
    assert seen.PhotometricInterpretation == wanted.PhotometricInterpretation


async def collect(decoder: Decoder, syntax: str, data: bytes) -> bytes:
    """All that comes out."""
    return b"".join([piece async for piece in decoder.convert(syntax, EXPLICIT, len(data), chunks(data))])


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    """Data as a store gives it."""
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@pytest.mark.dcmtk
async def test_a_destination_gets_decompressed_what_it_takes_no_other_way(
    site: ForwardingSite, storescp: Make, tmp_path: Path
) -> None:
    """Beside it the same destination without leave, which refuses, and one that takes JPEG lossless as it is."""
    plain, strict, modern = storescp("plain", None, "+x="), storescp("strict", None, "+x="), storescp("modern")
    site.destinations(
        plain={"port": plain.port, "decompress": True},
        strict={"port": strict.port},
        modern={"port": modern.port, "decompress": True},
    )
    file, oracle = compressed("jpeg-70", bundled(MONOCHROME), tmp_path)
    other = bundled("examples_jpeg2k.dcm")
    lossy = bundled("SC_rgb_jpeg_dcmtk.dcm")
    files = [landed(file), landed(other), landed(lossy), landed(bundled(COLOUR))]
    async with site.running():
        await site.store(files)
        told = {one.destination: one for one in await site.until(ForwardDelivered, 3)}
        failed = {one.destination: one for one in await site.until(ForwardFailed, 2)}
        row = await site.row("plain")
    uids = [one.sop_instance_uid for _, one in files]
    assert modern.data_sets() == expected(files)
    assert strict.data_sets() == expected(files[3:])
    arrived = plain.data_sets()
    assert arrived.keys() == {uids[0], uids[1], uids[3]}
    assert arrived[uids[3]] == expected(files)[uids[3]]
    seen = read_dataset(BytesIO(arrived[uids[0]]), is_implicit_VR=False, is_little_endian=True)
    assert seen.PixelData == pydicom.dcmread(BytesIO(oracle)).PixelData
    reasons = {(one.sop_instance_uid, one.reason) for one in failed["plain"].undelivered}
    assert reasons == {(uids[2], "lossy-not-decompressed")}
    assert {one.reason for one in failed["strict"].undelivered} == {"transfer-syntax-refused"}
    assert {name: (one.instances, one.warnings) for name, one in told.items()} == {
        "plain": (3, 0),
        "strict": (1, 0),
        "modern": (4, 0),
    }
    assert (row["delivered"], row["failed"]) == (3, 1)


async def test_a_stow_service_that_says_415_gets_another_file(site: ForwardingSite) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/dicom-web"
    site.destinations(vna={"kind": "stow", "url": url, "timeout": 5, "decompress": True})
    file = landed(bundled("MR_small_RLE.dcm"))
    stow = Stow()
    stow.answers = [(415, {})]
    async with site.running(), serving(stow, port):
        await site.store([file])
        await site.until(ForwardDelivered, 1)
    (part,) = stow.parts
    found = pydicom.dcmread(BytesIO(part))
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID == file[1].sop_instance_uid
    assert found.PixelData == pydicom.dcmread(BytesIO(bundled(MONOCHROME))).PixelData


@pytest.mark.dcmtk
async def test_what_cannot_be_decoded_fails_alone(site: ForwardingSite, storescp: Make) -> None:
    """Its neighbours arrive, and nothing of it does."""
    pacs = storescp("pacs", None, "+x=")
    site.destinations(pacs={"port": pacs.port, "decompress": True})
    names = ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"]
    sound, other = (bundled(name) for name in names)
    at = sound.rindex(b"\xff\x4f\xff\x51")
    broken = sound[:at] + bytes(100) + sound[at + 100 :]
    files = [landed(file) for file in (bundled(MONOCHROME), broken, other)]
    for number, (_, one) in enumerate(files):
        files[number] = files[number][0], one.model_copy(update={"sop_instance_uid": f"2.25.{number + 1}"})
    async with site.running():
        await site.store(files)
        (failed,) = await site.until(ForwardFailed, 1)
        (told,) = await site.until(ForwardDelivered, 1)
    assert [(one.sop_instance_uid, one.reason) for one in failed.undelivered] == [("2.25.2", DECOMPRESSION_FAILED)]
    assert told.instances == 2


def bomb(size: int, times: int = 1) -> bytes:
    """A deflated data set of so many bytes, so many times: what ends in a full flush may be repeated."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    one = stream.compress(bytes(size)) + stream.flush(zlib.Z_FULL_FLUSH)
    return one * times + stream.flush()


async def test_a_decoder_is_held_to_its_time_and_another_takes_its_place() -> None:
    """A deflated data set of eight gibibytes."""
    decoder = Decoder(Bounds(memory=1024**3, seconds=1))
    with pytest.raises(CannotConvert, match=DECOMPRESSION_FAILED):
        async for _ in decoder.convert(DEFLATED, EXPLICIT, len(data := bomb(1024**2, 8192)), chunks(data)):
            pass
    assert await collect(decoder, DEFLATED, bomb(3_000_001)) == bytes(3_000_001)
    await decoder.close()


async def test_a_decoder_is_held_to_its_memory() -> None:
    """An instance larger than what the process may map is told apart from one that is broken."""
    decoder = Decoder(Bounds(memory=256 * 1024**2, seconds=60))
    with pytest.raises(CannotConvert, match=TOO_LARGE):
        await collect(decoder, DEFLATED, bytes(300 * 1024**2))
    assert await collect(decoder, DEFLATED, bomb(1000)) == bytes(1000)
    await decoder.close()


async def test_without_a_process_it_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RetryLater, match="decoder-not-started"):
        await anext(Decoder(ROOMY).convert(DEFLATED, EXPLICIT, 1, nothing()))


async def nothing() -> AsyncIterator[bytes]:
    """No data set at all."""
    for chunk in ():
        yield chunk


async def test_input_that_breaks_off_is_not_decoded() -> None:
    """The reader's error comes through, and the next instance finds a decoder that knows nothing of it."""

    async def broken() -> AsyncIterator[bytes]:
        yield bomb(1000)[:5]
        raise LookupError

    decoder = Decoder(ROOMY)
    with pytest.raises(LookupError):
        async for _ in decoder.convert(DEFLATED, EXPLICIT, 100, broken()):
            pass
    assert await collect(decoder, DEFLATED, bomb(1000)) == bytes(1000)
    await decoder.close()


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm"])
async def test_whatever_a_sender_wrote_costs_its_instance_alone(name: str) -> None:
    """Random damage anywhere, headers of the codec among it: an end in time, and a sound instance right behind it."""
    noise, decoder = Random(name), Decoder(Bounds(memory=1024**3, seconds=5))
    file, one = landed(bundled(name))
    sound = file[one.dataset_offset :]
    whole = await collect(decoder, one.transfer_syntax, sound)
    for _ in range(12):
        data = bytearray(sound)
        start = noise.choice([0, max(data.rfind(b"\xff\xd8"), data.rfind(b"\xff\x4f"))])
        for _ in range(noise.randint(1, 8)):
            data[noise.randrange(start, len(data) if start == 0 else start + 60)] = noise.randrange(256)
        with suppress(CannotConvert):
            await collect(decoder, one.transfer_syntax, bytes(data))
    assert await collect(decoder, one.transfer_syntax, sound) == whole
    await decoder.close()
