"""What a QIDO-RS query means."""

import pytest

from services.catalog.domain.attributes import Level
from services.catalog.domain.search import MOST, BadQuery, read_query


def only(name: str, value: str, level: Level = Level.INSTANCE) -> tuple[str, tuple[str, ...]]:
    """How the one condition of a query compares, and with what."""
    (match,) = read_query(level, [(name, value)]).matches
    return match.how, match.values


def test_attributes_go_by_keyword_or_by_tag() -> None:
    assert only("PatientID", "42") == only("00100020", "42") == ("one", ("42",))


@pytest.mark.parametrize("value", ["", "*", '""'])
def test_an_empty_value_or_a_star_matches_everything(value: str) -> None:
    assert read_query(Level.STUDY, [("PatientName", value)]).matches == ()


def test_wildcards_dates_and_uid_lists_are_told_apart() -> None:
    assert only("PatientName", "Do*^J?n") == ("like", ("Do*^J?n",))
    assert only("StudyDate", "20260101-20260131") == ("range", ("20260101", "20260131"))
    assert only("StudyDate", "-20260131") == ("range", ("", "20260131"))
    assert only("StudyDate", "20260131") == ("range", ("20260131", "20260131"))
    assert only("StudyInstanceUID", "1.2,1.3") == ("one", ("1.2", "1.3"))
    assert only("SOPInstanceUID", "1.2\\1.3") == ("one", ("1.2", "1.3"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyDate", "2026-01-31"),
        ("StudyDate", "today"),
        ("StudyTime", "9"),
        ("StudyInstanceUID", "1.2'; --"),
        ("SeriesNumber", "one"),
        ("limit", "-1"),
        ("offset", "many"),
    ],
)
def test_nonsense_is_refused_by_the_parameters_name_and_never_by_its_value(name: str, value: str) -> None:
    with pytest.raises(BadQuery) as caught:
        read_query(Level.INSTANCE, [(name, value)])
    assert value not in str(caught.value)


def test_a_parameter_that_the_level_does_not_match_is_reported_not_refused() -> None:
    query = read_query(Level.STUDY, [("SOPInstanceUID", "1.2"), ("Colour", "red"), ("includefield", "all")])
    assert query.matches == () and query.unused == ("SOPInstanceUID", "Colour")


@pytest.mark.parametrize(
    ("level", "fields", "held"),
    [
        (Level.STUDY, ["all"], True),
        (Level.STUDY, ["PatientAge", "00101020,ModalitiesInStudy", "NumberOfStudyRelatedSeries"], True),
        (Level.STUDY, ["Modality"], False),
        (Level.SERIES, ["Modality,PatientName", "RequestAttributesSequence", "00400275.00400009"], True),
        (Level.SERIES, ["ModalitiesInStudy"], False),
        (Level.SERIES, ["RequestAttributesSequence.StudyInstanceUID"], False),
        (Level.INSTANCE, ["0040a043", "ConceptNameCodeSequence.CodeValue,AvailableTransferSyntaxUID", ""], True),
        (Level.INSTANCE, ["Rows", "PixelData"], False),
    ],
)
def test_a_field_that_answers_do_not_hold_is_reported(level: Level, fields: list[str], held: bool) -> None:
    query = read_query(level, [("includefield", field) for field in fields])
    assert query.unused == (() if held else ("includefield",))


def test_the_keys_of_a_request_go_by_their_path() -> None:
    paths = ("00400275.00401001", "RequestAttributesSequence.RequestedProcedureID", "00400275.RequestedProcedureID")
    assert {only(path, "RP*", Level.SERIES) for path in paths} == {("like", ("RP*",))}
    assert read_query(Level.SERIES, [("RequestedProcedureID", "RP1")]).unused == ("RequestedProcedureID",)
    assert read_query(Level.STUDY, [(paths[0], "RP1")]).unused == (paths[0],)


def test_an_answer_is_cut_by_the_server_only_where_the_client_asked_for_more() -> None:
    def capped(*parameters: tuple[str, str]) -> bool:
        return read_query(Level.STUDY, parameters).capped

    assert capped() and capped(("limit", str(MOST + 1)))
    assert not capped(("limit", str(MOST))) and not capped(("limit", "5"))


def test_nobody_gets_more_than_the_most() -> None:
    assert read_query(Level.STUDY, [("limit", "999999"), ("offset", "7")]).limit == MOST
