"""A STOW-RS service and a PACS behind TLS, behind forwarding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.setup.certificates import Authority
from contracts.events import ForwardDelivered, ForwardFailed
from contracts.formats.manifest import place
from tests.fuzz import wire
from tests.integration.forwarding.counting import counting_scp
from tests.integration.forwarding.site import (
    ForwardingSite,
    StoreScp,
    dicom_file,
    eventually,
    expected,
    flip,
)
from tests.integration.forwarding.stow import Stow, serving
from tests.support.ports import free_ports


def response(sequence: str, attribute: str, code: int) -> dict[str, Any]:
    """A store instances response with one reason (PS3.18 section 10.5.3.1)."""
    return {sequence: {"vr": "SQ", "Value": [{attribute: {"vr": "US", "Value": [code]}}]}}


async def test_a_stow_service_has_every_file_whatever_it_said_first(site: ForwardingSite) -> None:
    """503 and A700 are waited for, a warning is a delivery, C000 a failure that only that instance has."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/dicom-web"
    site.destinations(vna={"kind": "stow", "url": url, "timeout": 5})
    files = [dicom_file(number, size=1_500_000) for number in range(4)]
    stow = Stow()
    stow.answers = [
        (503, {}),
        (409, response("00081198", "00081197", 0xA700)),
        (200, response("00081199", "00081196", 0xB000)),
        (409, response("00081198", "00081197", 0xC000)),
    ]
    async with site.running(), serving(stow, port):
        await site.store(files)
        (told,) = await site.until(ForwardDelivered, 1)
        (failed,) = await site.until(ForwardFailed, 1)
    assert (told.instances, told.warnings, stow.requests) == (3, 1, 6)
    assert [(one.sop_instance_uid, one.reason) for one in failed.undelivered] == [("2.25.2", "status-c000")]
    assert stow.parts == [data for number, (data, _) in enumerate(files) if number != 1]


async def test_a_pacs_that_introduces_itself_as_nobody_should_has_every_file(site: ForwardingSite) -> None:
    """With a version name of more than 16 characters, and an item that no edition of the standard has yet."""
    files = [dicom_file(number) for number in range(2)]
    with counting_scp(wire.item(0x55, b"A VERSION OF NO OFFICIAL LENGTH") + wire.item(0x5A, b"later")) as pacs:
        site.destinations(pacs={"port": pacs.port})
        async with site.running():
            await site.store(files)
            await site.until(ForwardDelivered, 1)
    assert [one.sha256 for one in pacs.counted] == [instance.dataset_sha256 for _, instance in files]


async def test_a_file_that_was_damaged_never_arrives_whole(site: ForwardingSite) -> None:
    """Neither with a flipped bit before its data set nor with one within it; their neighbour arrives."""
    (port,) = free_ports(1)
    site.destinations(vna={"kind": "stow", "url": f"http://127.0.0.1:{port}/dicom-web", "timeout": 5, "held": True})
    files = [dicom_file(number, size=400_000) for number in range(3)]
    _, second, third = place(one for _, one in files)
    stow = Stow()
    async with site.running(), serving(stow, port):
        event = await site.store(files)
        for offset in (second.offset + 10, third.offset + third.length - 10):
            flip(site.folder / "landing" / event.batch.archive.key / "0001", offset)
        await site.ask("/vna/release", post=True)
        (failed,) = await site.until(ForwardFailed, 1)
    assert [one.reason for one in failed.undelivered] == ["input-damaged"] * 2
    assert stow.parts == [files[0][0]]


async def test_a_pacs_behind_tls_is_believed_by_its_certificate(
    site: ForwardingSite, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    """One whose authority is not ours gets nothing, and is waited for."""
    authority = Authority.create("hospital")
    certificate, key = authority.issue("pacs", ("localhost", "127.0.0.1"))
    for name, content in (("pacs.crt", certificate), ("pacs.key", key), ("ca.crt", authority.certificate)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "other.crt").write_bytes(Authority.create("another").certificate)
    pacs = storescp("pacs", None, "+xa", "-ic", "+tls", str(tmp_path / "pacs.key"), str(tmp_path / "pacs.crt"))
    tls = {"ca_file": str(tmp_path / "ca.crt")}
    strange = {"ca_file": str(tmp_path / "other.crt")}
    site.destinations(pacs={"port": pacs.port, "tls": tls}, strange={"port": pacs.port, "tls": strange})
    files = [dicom_file(number, size=200_000) for number in range(3)]
    async with site.running():
        await site.store(files)
        await site.until(ForwardDelivered, 1)
        await eventually(lambda: refuses(site))
    assert pacs.data_sets() == expected(files)


async def refuses(site: ForwardingSite) -> bool:
    """Whether the connection to the other one was broken off by us."""
    return bool((await site.row("strange"))["away"] == "tls-refused")
