"""What blobs in files promise beyond the port: crashes, full disks, other processes."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import pytest

from shared.storage import BlobExists, FilesystemStore, StoreFull, StoreRefused, StoreUnavailable

KEY = "identified/0af3/0001"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of one mebibyte, where the machine lets us make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def staged(root: Path) -> list[Path]:
    return list((root / ".staging").iterdir())


async def keys(store: FilesystemStore) -> list[str]:
    return [blob.key async for blob in store.list()]


async def test_leaves_nothing_staged(root):
    """After puts that succeed, repeat and fail, no temporary file is left."""
    store = FilesystemStore(root)
    await store.put(KEY, b"one")
    await store.put(KEY, b"one")
    with pytest.raises(BlobExists):
        await store.put(KEY, b"two")
    assert staged(root) == []


async def test_leftovers_of_a_crash_are_no_blobs_and_go_away(root):
    """What a writer that died left behind is never listed, and an old one is removed by the next that writes."""
    await FilesystemStore(root).put(KEY, b"one")
    old, fresh = root / ".staging" / "old", root / ".staging" / "fresh"
    old.write_bytes(b"torn")
    fresh.write_bytes(b"being written by another process")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store = FilesystemStore(root)
    assert await keys(store) == [KEY]
    await store.put("b", b"two")
    assert sorted(await keys(store)) == ["b", KEY]
    assert staged(root) == [fresh]


WRITER = """
import asyncio, sys
from pathlib import Path
from shared.storage import FilesystemStore

async def write():
    store = FilesystemStore(Path(sys.argv[1]))
    for number in range(100_000):
        await store.put(f"k/{number}", bytes([number % 256]) * 3_000_000)
        print(number, flush=True)

asyncio.run(write())
"""


async def test_a_killed_writer_leaves_whole_blobs_only(root):
    """SIGKILL in the middle of a put: every blob that is there is whole, and every put that had returned is there."""
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(root)], stdout=subprocess.PIPE)
    told = [int(writer.stdout.readline()) for _ in range(5)]
    time.sleep(0.013)
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().splitlines()]
    writer.wait()
    store = FilesystemStore(root)
    found = set(await keys(store))
    assert {f"k/{number}" for number in told} <= found
    for key in found:
        assert await store.get(key) == bytes([int(key[2:]) % 256]) * 3_000_000


async def test_two_processes_worth_of_stores_agree(root):
    """Two stores on one folder see each other's blobs and respect each other's keys."""
    one, other = FilesystemStore(root), FilesystemStore(root)
    await one.put(KEY, b"one")
    assert await other.get(KEY) == b"one"
    with pytest.raises(BlobExists):
        await other.put(KEY, b"two")
    await other.delete(KEY)
    await one.put(KEY, b"three")
    assert await other.get(KEY) == b"three"


async def test_fsyncs_the_bytes_the_name_and_its_folders(root):
    """Before put returns: the file is synced before it gets its name, then each folder on the way is."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    script = "import asyncio, sys; from pathlib import Path; from shared.storage import FilesystemStore\n"
    script += "asyncio.run(FilesystemStore(Path(sys.argv[1])).put('a/b/c', b'x'))"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,link,linkat,mkdir", sys.executable, "-c", script, str(root)]
    calls = [
        line for line in subprocess.run(command, capture_output=True, text=True).stderr.splitlines() if "(" in line
    ]
    link = next(number for number, call in enumerate(calls) if "link" in call.split("(")[0] and str(root) in call)
    assert any("fsync" in call and f"<{root}/.staging/" in call for call in calls[:link])
    assert "fsync" in calls[link + 1]
    assert f"<{root}/a/b>" in calls[link + 1]
    for folder in (root, root / "a"):
        assert any("fsync" in call and f"<{folder}>" in call for call in calls[:link])


async def test_a_full_disk_keeps_nothing_of_a_value(small_disk):
    """Without room put says StoreFull, leaves no piece, and works again when there is room."""
    store = FilesystemStore(small_disk / "blobs")
    await store.put("a", bytes(500_000))
    with pytest.raises(StoreFull):
        await store.put("b", bytes(800_000))
    assert await keys(store) == ["a"]
    assert staged(small_disk / "blobs") == []
    await store.delete("a")
    await store.put("b", bytes(800_000))


async def test_a_folder_that_is_a_file_is_refused(root):
    """A key below another key's value is taken, whichever came first."""
    store = FilesystemStore(root)
    await store.put("a/b", b"one")
    with pytest.raises(BlobExists):
        await store.put("a/b/c", b"two")
    with pytest.raises(BlobExists):
        await store.put("a", b"two")


async def test_a_disk_that_fails_is_unavailable(tmp_path):
    """A root that cannot be made is unavailable, told without its path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StoreUnavailable, StoreRefused)) as caught:
        await FilesystemStore(tmp_path / "file" / "blobs").put("a", b"x")
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_without_rights_refuses(root):
    """What only an operator can lift is told as such."""
    root.mkdir()
    root.chmod(0o500)
    with pytest.raises(StoreRefused):
        await FilesystemStore(root).put("a", b"x")


async def test_is_readable_by_its_user_alone(root):
    """Blobs and folders have no rights for others."""
    store = FilesystemStore(root)
    await store.put("a/b", b"x")
    assert (root / "a/b").stat().st_mode & 0o077 == 0
    assert (root / "a").stat().st_mode & 0o077 == 0


async def test_keeps_the_digest_where_attributes_are(root):
    """The digest given is kept beside the bytes; without one, none is told."""
    store = FilesystemStore(root)
    await store.put("with", b"x", sha256=hashlib.sha256(b"x").hexdigest())
    await store.put("without", b"x")
    if (await store.head("with")).sha256 is None:
        pytest.skip("this file system has no extended attributes")
    assert (await store.head("with")).sha256 == hashlib.sha256(b"x").hexdigest()
    assert (await store.head("without")).sha256 is None


async def test_a_flipped_byte_is_other_bytes(root):
    """A repeat is compared with what lies on the disk, not with what was noted about it."""
    store = FilesystemStore(root)
    await store.put("a", b"good", sha256=hashlib.sha256(b"good").hexdigest())
    (root / "a").write_bytes(b"goud")
    with pytest.raises(BlobExists):
        await store.put("a", b"good")


async def test_a_repeat_is_compared_without_a_second_value_in_memory(root):
    """Two runs of one plan put the same 64 MiB, and memory is counted in such parts."""
    store, value = FilesystemStore(root), bytes(32 * 1024 * 1024)
    await store.put("a", value)
    tracemalloc.start()
    try:
        await store.put("a", value)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


async def test_removes_emptied_folders(root):
    """Folders do not pile up for packs that are gone."""
    store = FilesystemStore(root)
    await store.put("a/b/c", b"x")
    await store.put("a/d", b"x")
    await store.delete("a/b/c")
    assert not (root / "a/b").exists()
    assert (root / "a/d").exists()


async def test_reads_while_the_loop_has_no_threads_left(root):
    """A store has threads of its own: readers that fill the loop's pool while they wait for it do not lock it out."""
    store = FilesystemStore(root)
    await store.put("a", b"x")
    loop = asyncio.get_running_loop()

    def blocked() -> bytes:
        return asyncio.run_coroutine_threadsafe(store.get("a"), loop).result(10)

    assert await asyncio.gather(*(asyncio.to_thread(blocked) for _ in range(64))) == [b"x"] * 64
