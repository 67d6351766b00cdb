"""Who gets what, and what is refused at start."""

from typing import Any

import pytest

from contracts.formats.manifest import Instance, Routing
from services.forwarding.domain.destinations import Destination, Match
from services.forwarding.domain.destinations_file import parse_destinations
from shared.yaml_lines import DocumentRefused
from tests.support.packs import make_file
from tests.unit.deployment.house import ROOT

PACS: dict[str, Any] = {"name": "pacs", "kind": "dicom", "host": "pacs.example", "port": 11112}


def instance(modality: str = "CT", seed: int = 0) -> Instance:
    """An instance of a modality."""
    return make_file(seed)[1].model_copy(update={"routing": Routing(modality=modality)})


def test_without_rules_a_destination_gets_everything_in_order() -> None:
    batch = [instance("CT", 2), instance("MR", 1)]
    assert Destination(**PACS).wanted(None, batch) == tuple(batch)


def test_any_rule_is_enough_and_in_a_rule_every_condition_counts() -> None:
    rules = (Match(modality="MR"), Match(modality=("CT", "PT"), source_ae="CT1"))
    destination = Destination(**PACS, match=rules)
    batch = [instance("CT", 0), instance("MR", 1), instance("US", 2)]
    assert destination.wanted("CT1", batch) == tuple(batch[:2])
    assert destination.wanted("CT2", batch) == (batch[1],)
    assert destination.wanted(None, batch) == (batch[1],)


@pytest.mark.parametrize("name", ["sop_class", "transfer_syntax"])
def test_rules_know_sop_classes_and_transfer_syntaxes(name: str) -> None:
    one = instance()
    value = {"sop_class": one.sop_class_uid, "transfer_syntax": one.transfer_syntax}[name]
    assert Destination(**PACS, match=(Match(**{name: value}),)).wanted(None, [one]) == (one,)
    assert Destination(**PACS, match=(Match(**{name: f"{value}.9"}),)).wanted(None, [one]) == ()


def test_the_example_is_accepted() -> None:
    found = parse_destinations((ROOT / "examples" / "destinations.yaml").read_text())
    assert list(found) == ["old-pacs", "stroke-ai", "vna", "ris", "ris-availability"]
    assert (found["stroke-ai"].held, found["old-pacs"].held) == (True, False)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "mpps", "port": 104}, "needs `host`"),
        ({"kind": "ian", "host": "ris", "port": 104}, "needs `retrieve_ae`"),
        (
            {"kind": "ian", "host": "ris", "port": 104, "retrieve_ae": "PACS", "url": "https://r.example"},
            "belong to kind stow",
        ),
        ({"kind": "mpps", "host": "ris", "port": 104, "match": [{"modality": "CT"}]}, "they belong to kind dicom"),
        ({"kind": "mpps", "host": "ris", "port": 104, "decompress": True}, "they belong to kind dicom"),
        ({"kind": "mpps", "host": "ris", "port": 104, "retrieve_ae": "PACS"}, "belongs to kind ian"),
    ],
)
def test_a_ris_is_told_and_not_sent_instances(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Destination(name="ris", **settings)


@pytest.mark.parametrize("text", ["", "destinations: {}", "# nothing\n"])
def test_a_file_may_name_nobody(text: str) -> None:
    assert parse_destinations(text) == {}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("kind: ftp", "yaml:3: pacs.kind"),
        ("kind: dicom", "yaml:3: pacs: a destination of kind dicom needs `host`"),
        ("kind: stow\n    url: https://x.example/dicom-web/", "yaml:4: pacs.url"),
        ("kind: stow\n    url: https://x.example/dicom-web\n    port: 1", "belong to kind dicom"),
        ("kind: dicom\n    host: h\n    port: 70000", "yaml:5: pacs.port"),
        ("kind: dicom\n    host: h\n    port: 1\n    called_ae: SEVENTEEN-LETTERS", "yaml:6: pacs.called_ae"),
        (
            "kind: dicom\n    host: h\n    port: 1\n    hold: true",
            "yaml:6: unknown key 'hold' in pacs; did you mean 'held'",
        ),
        ("kind: dicom\n    host: h\n    port: 1\n    match:\n      - {}", "yaml:7: pacs.match.0: a rule without"),
        ("kind: dicom\n    host: h\n    port: 1\n    match: []", "yaml:6: pacs.match"),
        ("kind: dicom\n    host: h\n    port: 1\n    tls: {cert_file: c}", "go together"),
        ("kind: dicom\n    host: h\n    port: 1\n    since: 2026-01-01T00:00:00", "yaml:6: pacs.since"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(settings: str, problem: str) -> None:
    with pytest.raises(DocumentRefused, match=problem.replace(".", r"\.")):
        parse_destinations(f"destinations:\n  pacs:\n    {settings}\n")


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "targets: {}",
        "destinations: [a]",
        "destinations:\n  a: {}\n  a: {}",
        "destinations: {a: [",
        "a: &",
        "destinations: {a: {since: !now 1}}",
        "destinations: {a: {since: 2026-13-01}}",
    ],
)
def test_what_is_no_list_of_destinations_is_refused(text: str) -> None:
    with pytest.raises(DocumentRefused, match=r"yaml:\d: "):
        parse_destinations(text)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse_destinations("destinations:\n  a: {kind: x}\n  b: {kind: y}\n")
    assert len(refused.value.problems) == 2
