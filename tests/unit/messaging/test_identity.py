"""The site key: one per site, whole or absent."""

import os
import stat
import threading
from pathlib import Path

import pytest

from shared.identity import SiteKey


def test_a_new_key_is_private_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "site.key"
    first, second = SiteKey.create(path), SiteKey.create(path)
    assert first.token("study", "1.2.3") == second.token("study", "1.2.3")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["site.key"]


def test_of_those_that_race_one_wins(tmp_path: Path) -> None:
    tokens: list[str] = []
    gate = threading.Barrier(8)

    def create() -> None:
        gate.wait()
        tokens.append(SiteKey.create(tmp_path / "site.key").token("study", "1"))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len(set(tokens)) == 1


def test_a_crash_before_the_link_leaves_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise OSError("power")

    monkeypatch.setattr(os, "link", cut)
    with pytest.raises(OSError, match="power"):
        SiteKey.create(tmp_path / "site.key")
    monkeypatch.undo()
    assert not (tmp_path / "site.key").exists()
    assert SiteKey.create(tmp_path / "site.key").token("study", "1")
