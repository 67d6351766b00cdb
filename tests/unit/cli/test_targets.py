"""``targets.yaml`` of an embedded site is the operator's once it is there; only the stand-ins follow the site."""

import asyncio
from pathlib import Path

import pytest

from cli.embedded.ports import Ports
from cli.embedded.prepare import ensure_cloud, other_clouds, prepare
from cli.site import Site
from cli.targets import NoTargets, targets_of

ADDED = """
  # The hospital's own, added by hand.
  cloud-c: {kind: s3, bucket: hospital-c, endpoint: "https://s3.example", jurisdiction: de, forms: [identified]}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that was prepared once, on the ports of 20000."""
    site = Site(tmp_path / "site")
    prepare(site, Ports.from_base(20000))
    return site


def test_a_cloud_that_was_added_by_hand_stays_with_its_comment(site: Site) -> None:
    site.targets.write_text(site.targets.read_text() + ADDED)
    prepare(site, Ports.from_base(20000))
    assert site.targets.read_text().endswith(ADDED)
    assert targets_of(site)["cloud-c"].endpoint == "https://s3.example"
    assert other_clouds(site) == ["cloud-c"]


def test_the_stand_ins_follow_the_ports_and_nothing_else_changes(site: Site) -> None:
    before = site.targets.read_text() + ADDED
    site.targets.write_text(before)
    prepare(site, Ports.from_base(21000))
    found = targets_of(site)
    assert [found[name].endpoint for name in ("cloud-a", "cloud-b")] == [
        f"http://127.0.0.1:{Ports.from_base(21000).clouds[name][0]}" for name in ("cloud-a", "cloud-b")
    ]
    changed = [line for line in site.targets.read_text().splitlines() if line not in before.splitlines()]
    assert [line.split(":")[0].strip() for line in changed] == ["endpoint", "endpoint"]
    assert site.targets.stat().st_mode & 0o777 == 0o600


def test_a_site_that_was_moved_finds_its_copies_and_credentials(site: Site) -> None:
    moved = Site(site.data.rename(site.data.with_name("moved")))
    prepare(moved, Ports.from_base(20000))
    found = targets_of(moved)
    assert found["onsite"].url == f"file://{moved.stores.resolve()}/onsite"
    assert found["cloud-a"].credentials_file == (moved.secrets / "cloud-a.json").resolve()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("endpoint: http://127.0.0.1:20010", "endpoint: https://s3.example"),
        ("secrets/cloud-a.json", "secrets/mine.json"),
    ],
)
def test_a_stand_in_that_became_another_target_is_left_alone(site: Site, old: str, new: str) -> None:
    text = site.targets.read_text().replace(old, new)
    assert text != site.targets.read_text()
    site.targets.write_text(text)
    prepare(site, Ports.from_base(20000))
    assert site.targets.read_text() == text
    prepare(site, Ports.from_base(21000))
    assert targets_of(site)["cloud-a"].endpoint in ("https://s3.example", "http://127.0.0.1:20010")


def test_a_stand_in_that_was_removed_stays_removed(site: Site) -> None:
    before, _, _ = site.targets.read_text().partition("  cloud-b:")
    site.targets.write_text(before)
    prepare(site, Ports.from_base(20000))
    assert site.targets.read_text() == before
    asyncio.run(asyncio.wait_for(ensure_cloud(site, "cloud-b"), 5))


def test_a_file_that_is_no_yaml_is_left_and_told(site: Site) -> None:
    site.targets.write_text("targets: [")
    prepare(site, Ports.from_base(21000))
    assert site.targets.read_text() == "targets: ["
    with pytest.raises(NoTargets, match="line 1: no YAML"):
        targets_of(site)
