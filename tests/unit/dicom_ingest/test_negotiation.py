"""Which presentation contexts are accepted, and in which syntax."""

import pytest
from pynetdicom.presentation import AllStoragePresentationContexts, QueryRetrievePresentationContexts
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from services.dicom_ingest.domain.negotiation import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTED,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    Proposal,
    decide,
    is_identifier,
    is_storage,
    is_uid,
    prefer,
)

EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
JPEG_LOSSLESS, J2K_LOSSLESS, RLE = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
JPEG_LOSSY, J2K_LOSSY, HEVC = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.107"
PRIVATE = "1.2.840.113619.5.2"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ((JPEG_LOSSLESS, IMPLICIT, EXPLICIT), EXPLICIT),
        ((JPEG_LOSSY, DEFLATED, BIG, IMPLICIT), IMPLICIT),
        ((JPEG_LOSSY, DEFLATED, BIG), BIG),
        ((J2K_LOSSLESS, DEFLATED), DEFLATED),
        ((JPEG_LOSSY, J2K_LOSSLESS, RLE), J2K_LOSSLESS),
        ((JPEG_LOSSY, RLE, J2K_LOSSLESS), RLE),
        ((J2K_LOSSY, PRIVATE, RLE), RLE),
        ((J2K_LOSSY, PRIVATE), PRIVATE),
        ((J2K_LOSSY, JPEG_LOSSY, HEVC), J2K_LOSSY),
        ((HEVC,), HEVC),
    ],
)
def test_a_sender_is_never_made_to_compress(offered: tuple[str, ...], taken: str) -> None:
    assert prefer(offered) == taken


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.6.2", "1.2.840.10008.1.2.7.1", "", "no uid"])
def test_what_encodes_no_data_set_is_no_syntax_to_take(syntax: str) -> None:
    assert prefer((syntax,)) is None
    assert decide(Proposal(1, "1.2.3", (syntax,))).result == TRANSFER_SYNTAXES_NOT_SUPPORTED


@pytest.mark.parametrize("context", AllStoragePresentationContexts, ids=lambda context: context.abstract_syntax.name)
def test_every_storage_class_that_pynetdicom_knows_is_taken(context: object) -> None:
    assert is_storage(str(context.abstract_syntax))  # type: ignore[attr-defined]


@pytest.mark.parametrize("sop_class", ["1.3.12.2.1107.5.9.1", "1.2.840.113619.4.26", "1.2.840.10008.5.1.4.1.1.9999"])
def test_private_and_future_classes_are_taken(sop_class: str) -> None:
    assert is_storage(sop_class)


@pytest.mark.parametrize(
    "uid",
    [
        *(str(context.abstract_syntax) for context in QueryRetrievePresentationContexts),
        str(StorageCommitmentPushModel),
        str(Verification),
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.5.1.4.31",
        EXPLICIT,
        "PATIENT^NAME",
    ],
)
def test_other_services_and_other_uids_are_not_storage(uid: str) -> None:
    assert not is_storage(uid)
    if uid not in (str(Verification), str(StorageCommitmentPushModel)):
        assert decide(Proposal(1, uid, (IMPLICIT,))).result == ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_storage_commitment_is_accepted_in_what_is_read_without_inflating() -> None:
    proposal = Proposal(1, str(StorageCommitmentPushModel), (DEFLATED, RLE, IMPLICIT))
    assert decide(proposal).transfer_syntax == IMPLICIT
    only = Proposal(1, str(StorageCommitmentPushModel), (DEFLATED, RLE))
    assert decide(only).result == TRANSFER_SYNTAXES_NOT_SUPPORTED


def test_verification_is_accepted() -> None:
    assert decide(Proposal(3, str(Verification), (IMPLICIT,))).result == ACCEPTED


@pytest.mark.parametrize(
    ("text", "uid", "identifier"),
    [
        ("1.2.840.1", True, True),
        ("1." + "2" * 62, True, True),
        ("1." + "2" * 63, False, True),
        ("05fa52f0e599f17b8186ff18fcdf2b5570a52206a75c4d03afebf5c475dc8758", False, True),
        ("DOE", False, False),
        ("deadbeef", False, False),
        ("1.2\\3", False, False),
        ("", False, False),
    ],
)
def test_an_identifier_cannot_be_a_name(text: str, uid: bool, identifier: bool) -> None:
    assert (is_uid(text), is_identifier(text)) == (uid, identifier)
