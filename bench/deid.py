"""De-identification beside dicognito, dicom-anonymizer, deid and Orthanc's /anonymize: instances/s and CPU of each.

Headers alone, as all of them do it; ours with pixels cleaned, which none of them does; and the search for text in one
picture beside RapidOCR's. The peers are installed with hashes into an environment of their own (build/deid-peers). One
process each, one file at a time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.deid_inputs import INPUTS
from bench.deid_ours import HEADERS, SECOND_LOOK
from bench.receivers import ROOT, Receiver, running
from bench.support import median, result, table, verdict
from tests.support.ports import free_ports

PEERS = ("dicognito", "dicom-anonymizer", "deid")
ROUNDS = 3
SECOND, WITH_PIXELS = "second look", "with pixels"
#: The fastest Python tool, by processor time for an instance; and Orthanc.
AT_LEAST = {"python_best": 10.0, "orthanc": 1.0}
#: Processor seconds for an ultrasound image of 1024 × 768: to look for text in it, and for all that cleaning it takes.
DETECTION, AT_MOST, PIXELS = "detection_s", 0.3, "pixels_s"
DETECTORS = ("causeway", "rapidocr")
_ENVIRONMENT = ROOT / "build" / "deid-peers"
_REQUIREMENTS = Path(__file__).with_name("deid_peers.txt")


class Figure(NamedTuple):
    """One run: instances a second, and milliseconds of processor time for each."""

    rate: float
    cpu_ms: float
    released: float = 1.0


def main() -> int:
    """Alternate all tools over the same files; ratios are medians over the kinds of files."""
    python = _peers()
    figures: dict[str, dict[str, list[Figure]]] = {}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = _inputs(Path(scratch))
        for _ in range(ROUNDS):
            for kind, folder in folders.items():
                for tool, figure in _round(folder, python, Path(scratch)):
                    figures.setdefault(kind, {}).setdefault(tool, []).append(figure)
            for tool in DETECTORS:
                seconds.setdefault(tool, []).append(_detection(tool, python))
    middle = {kind: {tool: _median(runs) for tool, runs in tools.items()} for kind, tools in figures.items()}
    for kind, tools in middle.items():
        print(f"\n{kind}: {(INPUTS[kind].__doc__ or '').strip()}\n")
        table(
            ("", "instances/s", "CPU ms each", "out"), [(tool, *figure) for tool, figure in tools.items()]
        )  # fmt: skip
    print(f"\nText in 1024 × 768, CPU s: {', '.join(f'{tool} {median(runs):.2f}' for tool, runs in seconds.items())}")
    ratios = ratios_of(middle, {tool: median(runs) for tool, runs in seconds.items()})
    told = {kind: {tool: figure._asdict() for tool, figure in tools.items()} for kind, tools in middle.items()}
    result("deid", ratios, told)
    return verdict("deid", goals(ratios))


def ratios_of(figures: dict[str, dict[str, Figure]], detection: dict[str, float]) -> dict[str, float]:
    """How much less processor time ours takes for headers, of the kinds the median; and to find text, with seconds."""
    best, orthanc = [], []
    for tools in figures.values():
        ours = tools[HEADERS].cpu_ms
        best.append(min(tools[peer].cpu_ms for peer in PEERS) / ours)
        orthanc += [tools["orthanc"].cpu_ms / ours] if "orthanc" in tools else []
    found = {"python_best": median(best)} | ({"orthanc": median(orthanc)} if orthanc else {})
    if "US" in figures:
        found[PIXELS] = figures["US"][WITH_PIXELS].cpu_ms / 1000
    if detection:
        found |= {DETECTION: detection["causeway"], "rapidocr": detection["rapidocr"] / detection["causeway"]}
    return found


def goals(ratios: dict[str, float]) -> dict[str, bool]:
    """Each goal, and whether it is reached; one that was not measured is not."""
    reached = {f"{name} at least {least:g}": ratios.get(name, 0.0) >= least for name, least in AT_LEAST.items()}
    return reached | {f"{DETECTION} at most {AT_MOST:g}": ratios.get(DETECTION, AT_MOST + 1) <= AT_MOST}


def _median(runs: list[Figure]) -> Figure:
    return Figure(*(median(each) for each in zip(*runs, strict=True)))


def _peers() -> Path:
    """The peers' Python, installed if it is not there."""
    python = _ENVIRONMENT / "bin" / "python"
    marker = _ENVIRONMENT / _REQUIREMENTS.name
    if not marker.exists() or marker.read_bytes() != _REQUIREMENTS.read_bytes():
        venv.create(_ENVIRONMENT, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*install, "--requirement", str(_REQUIREMENTS)], check=True)
        shutil.copyfile(_REQUIREMENTS, marker)
    return python


def _inputs(scratch: Path) -> dict[str, Path]:
    folders = {}
    for kind, make in INPUTS.items():
        folders[kind] = scratch / kind
        folders[kind].mkdir()
        make(folders[kind])
    return folders


def _round(folder: Path, python: Path, scratch: Path) -> Iterator[tuple[str, Figure]]:
    for tool in PEERS:
        yield tool, _measure([str(python), "-P", str(Path(__file__).with_name("deid_peers.py")), tool], folder, scratch)
    ours = [sys.executable, "-m", "bench.deid_ours"]
    yield HEADERS, _measure(ours, folder, scratch, HEADERS)
    yield SECOND, _measure(ours, folder, scratch, HEADERS, SECOND_LOOK)
    yield WITH_PIXELS, _measure(ours, folder, scratch, "clean_pixel_data")
    if shutil.which("Orthanc"):
        with _orthanc(scratch) as (receiver, url):
            yield "orthanc", _anonymize(receiver, url, folder)


def _measure(command: list[str], source: Path, scratch: Path, *options: str) -> Figure:
    out = _folder(scratch)
    done = subprocess.run([*command, str(source), out, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    for written in Path(out).glob("*.dcm"):
        os.truncate(written, 0)
    told = json.loads(done.stdout.splitlines()[-1])
    count = told["files"]
    return Figure(count / told["seconds"], 1000 * told["cpu"] / count, told.get("released", count) / count)


def _detection(tool: str, python: Path) -> float:
    """Processor seconds for one picture; the peer's interpreter sees nothing of ours."""
    script = Path(__file__).with_name("deid_detection.py")
    command = [sys.executable, "-m", "bench.deid_detection"] if tool == "causeway" else [str(python), "-P", str(script)]
    done = subprocess.run([*command, tool], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1])["cpu"])


def _folder(scratch: Path) -> str:
    """For what a tool writes: its files stay until the end, if not what is in them.

    For minutes after a file was removed, ext4 passes over its inode where it looks for a free one: who makes a file
    would pay for what was removed before, half a millisecond of processor time where that were some hundreds.
    """
    return tempfile.mkdtemp(dir=scratch)


@contextmanager
def _orthanc(scratch: Path) -> Iterator[tuple[Receiver, str]]:
    folder, (http, dicom) = _folder(scratch), free_ports(2)
    configuration = {
        "StorageDirectory": f"{folder}/storage",
        "IndexDirectory": f"{folder}/index",
        "Plugins": [],
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
    }
    settings = Path(folder, "orthanc.json")
    settings.write_text(json.dumps(configuration))
    with running("orthanc", ["Orthanc", str(settings)], http, Path(folder)) as receiver:
        yield receiver, f"http://127.0.0.1:{http}"


def _anonymize(receiver: Receiver, url: str, folder: Path) -> Figure:
    """What was stored before is asked for, anonymised, one by one."""
    ids = [json.loads(_post(f"{url}/instances", path.read_bytes()))["ID"] for path in sorted(folder.glob("*.dcm"))]
    first, *others = ids
    _post(f"{url}/instances/{first}/anonymize", b"{}")
    started, spent = time.perf_counter(), receiver.cpu()
    for one in others:
        if _post(f"{url}/instances/{one}/anonymize", b"{}")[128:132] != b"DICM":
            raise RuntimeError("Orthanc did not anonymise")
    seconds, cpu = time.perf_counter() - started, receiver.cpu() - spent
    return Figure(len(others) / seconds, 1000 * cpu / len(others))


def _post(url: str, body: bytes) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST")) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    sys.exit(main())
