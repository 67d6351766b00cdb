"""Which studies hold instances that name the Issuer of Patient ID beside instances that leave it out."""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from cli.dicom_files import files_below
from services.deid.domain.person import Issuers

_PATIENT_ID, _ISSUER, _STUDY = 0x00100020, 0x00100021, 0x0020000D


def issuers_of(default: str, paths: Iterable[Path]) -> Issuers:
    """``default`` for all, and what the files below ``paths`` tell of each study.

    Where a study has two issuers of the same Patient ID, those are two.
    """
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for path in files_below(paths):
        head = _head(path)
        if patient := _text(head, _PATIENT_ID):
            seen[_text(head, _STUDY), patient].add(_text(head, _ISSUER))
    return Issuers(
        default,
        frozenset(
            (study, issuer, patient)
            for (study, patient), issuers in seen.items()
            if len(issuers) == 2 and "" in issuers
            for issuer in issuers - {""}
        ),
    )


def _head(path: Path) -> Dataset:
    """The attributes up to the Study Instance UID; none of what is no DICOM, which is told of when its turn comes."""
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                return read_partial(file, stop_when=_is_behind)
    return Dataset()


def _is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag > _STUDY


def _text(head: Dataset, tag: int) -> str:
    """The value as the engine reads it: bytes without padding."""
    value = head.get_item(tag).value if tag in head else b""
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""
