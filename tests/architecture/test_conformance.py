"""The conformance statement says what the code does, in the structure of PS3.2 annex N, and leaves nothing out."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from cli.conformance import words
from cli.conformance.scanning import refusals
from cli.conformance.settings import INSIDE, MEANINGS
from cli.conformance.statement import PARTS, PATH, statement
from cli.describe import ROOT
from contracts.formats import manifest
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain import header, instance
from services.dicom_ingest.domain.negotiation import ACCEPTED, Proposal, decide
from shared.settings import ServiceSettings

TEXT = (ROOT / PATH).read_text()
#: What PS3.2 annex N asks for, as far as there is anything to say.
SECTIONS = (
    "1 Overview",
    "1.1 Content and transfer",
    "2 Contents",
    "3 Introduction",
    "4 Implementation model",
    "4.1 Application data flow",
    "4.2 Functional definition of application entities",
    "5 Service and interoperability description",
    "5.2 DIMSE services",
    "5.3 DICOM web services",
    "6 Configuration",
    "7 Network and media communication details",
    "7.2 Application entities",
    "7.3 Status codes",
    "8 Security",
    "9 Content of instances, private and extended parts",
    "9.2 Character sets",
)


def test_it_is_as_the_code_is() -> None:
    assert statement(TEXT) == TEXT, "run `make flow`"


def test_it_has_the_sections_of_the_template_in_their_order() -> None:
    found = re.findall(r"^#+ (\d.*)$", TEXT, re.MULTILINE)
    assert [section for section in found if section in SECTIONS] == list(SECTIONS)


def test_a_part_that_is_missing_or_unknown_is_an_error() -> None:
    for wrong in (
        TEXT.replace("generated tls:", "generated tsl:"),
        TEXT.replace("generated tls:", "generated aborts:"),
    ):
        with pytest.raises(ValueError, match="other generated parts"):
            statement(wrong)


@pytest.mark.parametrize(
    ("error", "modules", "meanings"),
    [
        ("InstanceRefused", ("services.dicom_ingest",), words.REFUSED | words.STEP),
        ("BadPdu", ("services.dicom_ingest",), words.REFUSED),
        ("SpoolRefused", ("services.dicom_ingest",), words.REFUSED),
        ("RequestRefused", ("services.dicom_ingest",), words.REQUEST | words.COMMITMENT),
        ("StepRefused", ("services.dicom_ingest",), words.STEP),
    ],
)
def test_every_reason_of_a_refusal_is_explained(error: str, modules: tuple[str, ...], meanings: dict[str, str]) -> None:
    assert {one.reason for one in refusals(error, modules)} - meanings.keys() == set(), "cli/conformance/words.py"


def test_every_flag_is_explained_here_and_in_the_formats() -> None:
    (table,) = re.findall(r"^Flags of an instance:\n\n(.*?)\n\n", (ROOT / "docs/formats.md").read_text(), re.M | re.S)
    assert re.findall(r"^\| `([a-z-]+)`", table, re.M) == [*words.FLAGGED]
    modules = (header, instance, manifest)
    constants = {value for module in modules for name, value in vars(module).items() if name.isupper()}
    assert {flag for flag in words.FLAGGED if flag not in constants} == set()


def test_every_setting_that_a_peer_may_notice_is_listed() -> None:
    own = Settings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert MEANINGS.keys() | INSIDE == own
    assert not MEANINGS.keys() & INSIDE


def test_links_within_it_lead_somewhere() -> None:
    headings = {re.sub(r"[^\w -]", "", line).replace(" ", "-").lower() for line in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def test_what_is_listed_is_what_is_accepted() -> None:
    """Asked as a peer would: each class in each syntax of its number, before any of a higher number."""
    classes = re.findall(r"`([\d.]+)`", PARTS["sop-classes"]())
    ranked = re.findall(r"^\| (\d)\S* \|.*`([\d.]+)` \|$", PARTS["transfer-syntaxes"](), re.MULTILINE)
    syntaxes = [uid for _, uid in ranked]
    assert len(classes) > 150
    for number, uid in enumerate(classes):
        proposal = Proposal(1, uid, tuple(reversed(syntaxes)))
        decision = decide(proposal)
        assert (decision.result, decision.transfer_syntax) == (ACCEPTED, syntaxes[0]), number
    for (rank, syntax), (next_rank, following) in pairwise(ranked):
        both = Proposal(1, classes[0], (following, syntax))
        wanted = following if rank == next_rank != "1" else syntax
        assert decide(both).transfer_syntax == wanted
        assert decide(replace(both, transfer_syntaxes=(syntax, following))).transfer_syntax == syntax
