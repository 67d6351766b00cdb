"""``causeway deidentify`` as a process over a planted corpus, and its outputs by the names of their originals."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from tests.support.deid_scoring.answer_key import AnswerKey

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Run:
    """What a run left: outputs and reasons by original file name, its report, exit status and file names."""

    outputs: dict[str, bytes]
    withheld: dict[str, str]
    status: int
    names: tuple[str, ...]
    keys: Path


def write_profile(path: Path, options: Iterable[str], legal_basis: str = "gdpr_pseudonymised") -> Path:
    """A profile file with these options."""
    document = {"format": "causeway.profile/1", "name": path.stem, "version": "1", "legal_basis": legal_basis}
    document |= {"options": sorted(options)}
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def deidentify(
    key: AnswerKey, folder: Path, options: Iterable[str], *, keys: Path | None = None, legal_basis: str | None = None
) -> Run:
    """Run the command over the corpus of ``key``; everything it writes is below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = keys or folder / "keys"
    profile = write_profile(folder / "profile.yaml", options, *([legal_basis] if legal_basis else []))
    out, mapped, listed = folder / "out", folder / "map.json", folder / "quarantine.txt"
    command = [sys.executable, "-m", "cli.main", "deidentify", str(key.folder), "-o", str(out), "--json"]
    command += ["--profile", str(profile), "--project", "scoring", "--keys", str(keys)]
    command += ["--map", str(mapped), "--quarantine", str(listed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not mapped.exists():
        raise RuntimeError(done.stderr)
    return _collect(key, out, mapped, listed, json.loads(done.stdout), done.returncode, keys)


def _collect(
    key: AnswerKey, out: Path, mapped: Path, listed: Path, report: dict[str, object], status: int, keys: Path
) -> Run:
    new = json.loads(mapped.read_text())
    files = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in out.rglob("*.dcm")}
    held = set(listed.read_text().split())
    reasons = {Path(str(each["path"])): each.get("reason", "") for each in report["inputs"]}  # type: ignore[attr-defined]  # JSON
    outputs, withheld = {}, {}
    for entry in key.files:
        name, sop = entry["file"], entry["sop"]
        if sop in new and new[sop] in files:
            outputs[name] = files[new[sop]].read_bytes()
        elif sop in held:
            withheld[name] = reasons.get(key.folder / name, "")
    names = tuple(sorted(str(path.relative_to(out)) for path in out.rglob("*")))
    return Run(outputs, withheld, status, names, keys)


def told_by(names: Iterable[str], key: AnswerKey, options: frozenset[str]) -> list[str]:
    """Names of files that tell something of the originals."""
    uids = () if "retain_uids" in options else ("sop", "series", "study")
    known = {entry[each] for entry in key.files for each in uids if entry[each]}
    known |= {needle.lower() for entry in key.files for needle in entry["shared"]}
    known |= {Path(entry["file"]).stem.lower() for entry in key.files if not Path(entry["file"]).stem.isdigit()}
    return [name for name in names if any(each in name.lower() for each in known)]
