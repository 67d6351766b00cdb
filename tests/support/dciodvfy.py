"""dciodvfy (Debian's dicom3tools): what an object lacks by its IOD (PS3.3)."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

PROGRAM = shutil.which("dciodvfy")

_ERROR = re.compile(r"^Error - (.*)$", re.MULTILINE)
#: Values and places in the file differ between an original and its result: what is wrong does not.
_VARIABLE = re.compile(r"= ?<[^>]*>|<[^>]*\d[^>]*>|0x[0-9a-f]+|\d+(?:\.\d+)*")


def errors(path: Path) -> Counter[str]:
    """What is wrong, how often, without values."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(PROGRAM), _inflated(path, folder)], capture_output=True, check=False, timeout=60)
    told = (done.stdout + done.stderr).decode("latin-1")
    return Counter(_kind(line) for line in _ERROR.findall(told))


def _inflated(path: Path, folder: str) -> str:
    """dciodvfy does not inflate: it is given what was deflated as it was before."""
    dataset = dcmread(path, force=True)
    if dataset.file_meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return str(path)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = Path(folder, "plain.dcm")
    dataset.save_as(plain)
    return str(plain)


def _kind(line: str) -> str:
    """An error by attribute and module, whatever its value is."""
    attribute = re.search(r"Element=<\w+>", line)
    module = re.search(r"Module=<\w+>", line)
    said = _VARIABLE.sub("", line.split("Element=")[0])
    return " ".join(part for part in (said, attribute and attribute[0], module and module[0]) if part)


def new_errors(original: Path, result: Path) -> list[str]:
    """What is wrong in ``result`` that was not in ``original``."""
    return sorted(errors(result).keys() - errors(original).keys())
