"""What is accepted: SOP classes, transfer syntaxes, and the statuses of C-STORE (PS3.2 sections N.1.1, N.5, N.7.3)."""

from collections.abc import Callable, Iterator

from pydicom.uid import UID_dictionary

from cli.conformance import words
from cli.conformance.markdown import code, hexadecimal, table
from cli.conformance.scanning import reasons, refusals
from services.dicom_ingest.domain import command
from services.dicom_ingest.domain.negotiation import (
    LOSSLESS,
    UNCOMPRESSED,
    is_standard_storage,
    prefer,
)
from shared.errors import RetryLater, answer

#: Names of the standard that the dictionary does not have yet (PS3.6 table A-1).
_NEWER = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
#: Where instances are taken: on associations, and as parts of store requests.
_DIMSE = (
    "services.dicom_ingest.adapters",
    "services.dicom_ingest.handlers.reception",
)
#: Reasons that are raised there, of STOW-RS and of procedure steps.
_OF_OTHERS = {"other-study", "missing-attribute"}


def sop_classes() -> str:
    """Every storage SOP class of the standard, in the roles that hold for all of them."""
    return table(
        ("SOP class", "SOP Class UID", "SCU", "SCP"),
        ((f"{name}{' (retired)' if retired else ''}", code(uid), "yes", "yes") for uid, name, retired in _storage()),
    )


def _storage() -> Iterator[tuple[str, str, bool]]:
    for uid, (name, kind, _, retired, _) in sorted(UID_dictionary.items(), key=lambda row: _numbers(row[0])):
        if kind == "SOP Class" and is_standard_storage(uid):
            yield uid, name, bool(retired) and not name.endswith("(Retired)")


def transfer_syntaxes() -> str:
    """Every transfer syntax in which a data set is accepted, in the order in which one is chosen."""
    known = {uid: row[0] for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"} | _NEWER
    taken = [uid for uid in sorted(known, key=_numbers) if prefer([uid]) is not None]
    lossless = [uid for uid in taken if uid in LOSSLESS]
    others = [uid for uid in taken if uid not in LOSSLESS and uid not in UNCOMPRESSED]
    rows = [(f"1.{n}", known[uid], code(uid)) for n, uid in enumerate(UNCOMPRESSED, 1)]
    rows += [("2", known[uid], code(uid)) for uid in lossless]
    rows += [("3", "a private transfer syntax", "any other UID")]
    rows += [("4", known[uid], code(uid)) for uid in others]
    return table(("preference", "transfer syntax", "UID"), rows)


def c_store_statuses() -> str:
    """The statuses of C-STORE as SCP (table N.7-43)."""
    rows = [
        ("Success", hexadecimal(command.SUCCESS), "", "the instance is durable: written with its CRC-32, and synced")
    ]
    later = answer(RetryLater("any")).dicom
    found = [(later, reason) for _, reason in reasons(refusals("SpoolRefused", _DIMSE))] + [(later, "spool-*")]
    found += [(number or 0, reason) for number, reason in reasons(refusals("InstanceRefused", _DIMSE)) if number]
    rows += [
        (_kind(status), hexadecimal(status), code(reason), words.meaning(words.REFUSED, reason))
        for status, reason in dict.fromkeys(sorted(found))
        if reason not in _OF_OTHERS
    ]
    return table(("service status", "status", "Error Comment (0000,0902)", "sent when"), rows)


def flags() -> str:
    """What is stored and flagged."""
    return table(("flag", "meaning"), [(code(flag), meaning) for flag, meaning in words.FLAGGED.items()])


def _kind(status: int) -> str:
    return "Refused: Out of Resources" if status & 0xFF00 == 0xA700 else _ERRORS.get(status & 0xF000, "Failure")


_ERRORS = {0xA000: "Error: Data Set does not match SOP Class", 0xC000: "Error: Cannot understand"}


def _numbers(uid: str) -> tuple[int, ...]:
    return tuple(map(int, uid.split(".")))


PARTS: dict[str, Callable[[], str]] = {
    "sop-classes": sop_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "c-store-scp": c_store_statuses,
    "flags": flags,
}
