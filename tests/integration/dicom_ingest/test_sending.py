"""``causeway send`` and dcmtk against the service."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from typer import Typer
from typer.testing import CliRunner

from cli.dicom_files import Outgoing, examine
from cli.send import command, send
from tests.integration.dicom_ingest.site import IngestSite, dcmtk, write_files
from tests.support.instances import as_file, make_instances

SHIPPED = [
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "ExplVR_BigEnd.dcm",
    "SC_rgb_rle.dcm",
    "MR_small_implicit.dcm",
    "rtplan.dcm",
]


def run(*arguments: str | Path):  # type: ignore[no-untyped-def]
    """The command as a shell sees it."""
    app = Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


async def test_good_files_go_and_bad_ones_are_told_with_status_one(site: IngestSite, tmp_path: Path) -> None:
    good, other = make_instances(2)
    folder = tmp_path / "send"
    write_files(folder, [as_file(good), as_file(other)[:-10], b"no DICOM"])
    site.start()
    done = run(folder, "--to", f"127.0.0.1:{site.port}", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["sent"] == 1
    assert [(Path(each["path"]).name, each["why"].split(":")[0]) for each in told["failed"]] == [
        ("0002.dcm", "cut short"),
        ("0003.dcm", "not DICOM"),
    ]
    (landed,) = await site.landed(1)
    assert landed.manifest.instances[0].sop_instance_uid == good.SOPInstanceUID


def test_a_receiver_that_is_not_there_is_told_for_each_file(tmp_path: Path, free_port: int) -> None:
    files = write_files(tmp_path, map(as_file, make_instances(2)))
    done = run(*files, "--to", f"127.0.0.1:{free_port}", "--json")
    assert done.exit_code == 1
    assert [each["why"] for each in json.loads(done.stdout)["failed"]] == [
        f"cannot connect to 127.0.0.1:{free_port}: Connection refused"
    ] * 2


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = run(tmp_path / "nothing", "--to", "127.0.0.1:1")
    assert done.exit_code == 1
    assert "no such file" in done.stderr


async def test_each_syntax_arrives_as_it_lies_on_disk_over_several_associations(site: IngestSite) -> None:
    paths = [Path(str(get_testdata_file(name))) for name in SHIPPED]
    site.start()
    report = send(paths, host="127.0.0.1", port=site.port, associations=3)
    assert len(report.sent) == len(paths)
    landed = await site.landed(len(paths))
    arrived = {
        (instance.transfer_syntax, sha256(batch.dataset(instance)).digest())
        for batch in landed
        for instance in batch.manifest.instances
    }
    sent = {
        (found.transfer_syntax, sha256(found.path.read_bytes()[found.offset :]).digest())
        for found in map(examine, paths)
        if isinstance(found, Outgoing)
    }
    assert arrived == sent


def received_by_dcmtk(paths: list[Path], folder: Path, port: int, preference: str) -> dict[tuple[str, str], bytes]:
    """Data sets as dcmtk's own receiver gets them from dcmtk's sender, by SOP instance UID and syntax."""
    folder.mkdir()
    receiver = subprocess.Popen(["storescp", "+B", preference, "-od", str(folder), str(port)])
    try:
        while dcmtk("echoscu", "127.0.0.1", str(port))[0] != 0:
            assert receiver.poll() is None
        assert dcmtk("storescu", "127.0.0.1", str(port), *paths)[0] == 0
    finally:
        receiver.kill()
        receiver.wait()
    found = [found for found in map(examine, folder.iterdir()) if isinstance(found, Outgoing)]
    return {(each.sop_instance, each.transfer_syntax): each.path.read_bytes()[each.offset :] for each in found}


@pytest.mark.dcmtk
async def test_what_dcmtk_sends_is_what_its_own_receiver_gets_in_the_same_syntax(
    site: IngestSite, tmp_path: Path, free_port: int
) -> None:
    paths = [Path(str(get_testdata_file(name))) for name in ("MR_small_implicit.dcm", "CT_small.dcm", "rtplan.dcm")]
    theirs = received_by_dcmtk(paths, tmp_path / "explicit", free_port, "+xe")
    theirs |= received_by_dcmtk(paths, tmp_path / "implicit", free_port, "+xi")
    site.start()
    assert dcmtk("storescu", "127.0.0.1", str(site.port), *paths)[0] == 0
    landed = await site.landed(len(paths))
    ours = {
        (instance.sop_instance_uid, instance.transfer_syntax): batch.dataset(instance)
        for batch in landed
        for instance in batch.manifest.instances
    }
    assert len(ours) == len(paths)
    assert ours.items() <= theirs.items()
