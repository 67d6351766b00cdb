"""Messages of our own: hl7apy takes them in strict validation, and every value reads back as it was."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from services.hl7_fhir.adapters.building import build, plain, write
from services.hl7_fhir.adapters.profile import fits_own_profile, fits_profile
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Fields, Site
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.outgoing.receivers import FORMS, Own
from services.hl7_fhir.domain.outgoing.telling import News, SaidSegment, State, encode, said
from shared.identity import SiteKey
from tests.support.hl7 import omi, orm

NOW = datetime(2026, 1, 2, 8, 30, tzinfo=UTC)
HARD = r"PID|1||P\T\1^^^HO\S\SP&1.2.3&ISO^MR~77^^^INS^XX||D\F\oe\R\^Ja\X0A\ne^Q^^Dr.||198002031200|F"
STRUCTURES = {"orm": "ORM_O01", "omg": "OMG_O19", "omi": "OMI_O23", "oru": "ORU_R01"}
EVERY = [(form, version) for form, versions in FORMS.items() for version in versions]


def fields(content: bytes) -> tuple[Fields, Fields]:
    """The patient's and the order's, as records keep them."""
    decision = Reader(Site(), SiteKey(b"k" * 32)).decide(content, "ref", NOW)
    assert decision.patient is not None
    return decision.patient.fields, decision.orders[0].fields


def news(content: bytes = b"", control: str = "SC", state: State = State.COMPLETED, **more: object) -> News:
    told, asked = fields(content or orm(pid=HARD, obr19="RP\\F\\1", obr20="S1"))
    values: dict[str, object] = {"study_uid": "1.2.840.99.1", "modality": "CT", **more}
    return News(control, state, NOW, told, asked, **values)  # type: ignore[arg-type]  # each case gives what it needs


def written(form: str, version: str = "2.5.1", said: News | None = None, **own: str) -> str:
    values: dict[str, Any] = {"version": version, **own}
    return write(form, Own(**values), said or news(), "a" * 20, UTC)


@pytest.mark.parametrize(("form", "version"), EVERY)
def test_each_form_in_each_version_fits_its_profile(form: str, version: str) -> None:
    text = written(form, version)
    assert fits_profile(text, STRUCTURES[form], version)
    assert fits_own_profile(text.encode())
    assert not fits_profile(text.replace("\rOBR", "\rQQQ"), STRUCTURES[form], version)


@pytest.mark.parametrize(("form", "version"), [each for each in EVERY if each[0] != "orm"])
def test_hl7apy_takes_it_in_strict_validation_as_it_is(form: str, version: str) -> None:
    text = written(form, version, news(orm()))
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, force_validation=True)
    assert parsed.to_er7() == text.rstrip("\r")


@pytest.mark.parametrize(("form", "version"), EVERY)
def test_values_read_back_as_they_were(form: str, version: str) -> None:
    back = read(encode(written(form, version), Own())[0], "utf-8")
    pid, orc, obr = back.required("PID"), back.required("ORC"), back.required("OBR")
    assert [pid.text(3, part) for part in (1, 4, 5)] == ["P&1", "HO^SP", "MR"]
    assert pid.text(3, 4, 2) == "1.2.3"
    assert pid.field(3)[1][0] == ("77",)
    assert pid.field(5)[0] == (("D|oe~",), ("Ja\nne",), ("Q",), ("",), ("Dr.",))
    assert (pid.text(7), pid.text(8)) == ("19800203", "F")
    assert [orc.text(number) for number in (1, 2, 3, 5)] == ["SC", "PL1", "FI1", "CM"]
    assert [obr.text(number) for number in (2, 4, 18, 19, 20)] == ["PL1", "24725-4", "ACC1", "RP|1", "S1"]
    assert (obr.text(24), obr.text(25)) == ("CT", "R")
    assert obr.text(2, 2) == "HIS"
    assert back.header.text(12) == version


@pytest.mark.parametrize(("form", "version"), EVERY)
def test_values_that_look_like_escape_sequences_are_no_others_for_the_receiver(form: str, version: str) -> None:
    """hl7apy's own text types would send the first of them as a delimiter."""
    told = news(orm(pid="PID|1||P1^^^H||\\E\\F\\E\\^\\E\\.br\\E\\^a\\E\\b\\X1B\\"))
    back = read(written(form, version, told).encode(), "utf-8")
    assert back.required("PID").field(5)[0] == (("\\F\\",), ("\\.br\\",), ("a\\b\x1b",))


@pytest.mark.parametrize(("charset", "codec"), [("UNICODE UTF-8", "utf-8"), ("8859/1", "iso8859-1")])
def test_a_control_character_of_c1_comes_back_in_every_character_set(charset: str, codec: str) -> None:
    """What a sender calls 8859/1 is often Windows-1252, whose apostrophe is read as U+0092."""
    content = orm(pid="PID|1||P1^^^H||O\x92Hara^A\x85B")
    own = Own(charset=charset, codec=codec)
    sent, holds_all = encode(write("oru", own, news(content), "c", UTC), own)
    assert holds_all
    assert read(sent, "utf-8").required("PID").field(5)[0] == (("O\x92Hara",), ("A\x85B",))


@pytest.mark.parametrize(("form", "version"), EVERY)
def test_what_is_written_without_tables_is_what_they_build(form: str, version: str) -> None:
    told = said(form, Own(version=version), news(), "a" * 20, UTC)
    assert plain(told) == written(form, version)


def test_a_segment_that_its_structure_has_no_place_for_is_not_sent() -> None:
    header = said("oru", Own(), news(), "c", UTC)[0]
    with pytest.raises(ValueError, match="no place for IPC"):
        build("ORU_R01", "2.5.1", (header, SaidSegment("IPC", {1: ((("A",),),)})))


def test_the_study_uid_is_where_each_form_has_it() -> None:
    uid = "1.2.840.99.1"
    told = {form: read(written(form).encode(), "utf-8") for form in FORMS}
    assert told["orm"].required("ZDS").field(1)[0] == ((uid,), ("",), ("Application",), ("DICOM",))
    for form in ("oru", "omg"):
        assert told[form].required("OBX").text(3) == "113014"
        assert told[form].required("OBX").text(5) == uid
    assert told["omi"].required("IPC").text(3) == uid


def test_an_order_with_a_scheduled_step_keeps_its_numbers() -> None:
    back = read(written("omi", said=news(omi(), control="XX")).encode(), "utf-8")
    assert [back.required("IPC").text(number) for number in (1, 2, 3, 4, 5)] == [
        "ACC7",
        "RP7",
        "1.2.840.99.1",
        "SPS7",
        "MR",
    ]
    assert back.required("IPC").text(1, 2) == "HOSP"
    assert back.required("ORC").text(1) == "XX"


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (State.SCHEDULED, ("SC", "S")),
        (State.IN_PROGRESS, ("IP", "I")),
        (State.COMPLETED, ("CM", "R")),
        (State.DISCONTINUED, ("DC", "X")),
    ],
)
def test_states_are_told_in_orc_and_obr(state: State, codes: tuple[str, str]) -> None:
    back = read(written("orm", said=news(state=state)).encode(), "utf-8")
    assert (back.required("ORC").text(5), back.required("OBR").text(25)) == codes


def test_times_are_local_with_their_offset() -> None:
    text = write("oru", Own(), replace(news(), started=NOW), "c", ZoneInfo("Europe/Berlin"))
    back = read(text.encode(), "utf-8")
    assert back.header.text(7) == back.required("OBR").text(7) == "20260102093000+0100"


@pytest.mark.parametrize("form", ["oru", "orm", "omi"])
def test_a_study_without_an_order_is_told_by_its_own_numbers(form: str) -> None:
    told, _ = fields(orm())
    said = News("SC", State.COMPLETED, NOW, told, {}, "1.2.3", "MR", accession="A&7")
    text = written(form, said=said)
    assert fits_profile(text, STRUCTURES[form], "2.5.1")
    back = read(text.encode(), "utf-8")
    assert [back.required("OBR").text(number) for number in (4, 18, 24)] == ["18748-4", "A&7", "MR"]


def test_the_header_says_who_sends_to_whom_and_in_which_characters() -> None:
    names = {"application": "CW", "facility": "RAD^1.2^ISO", "receiving_application": "RIS", "receiving_facility": "H"}
    header = read(written("orm", "2.5.1", None, **names, charset="8859/1").encode(), "utf-8").header
    assert [header.raw(number) for number in range(3, 7)] == ["CW", "RAD^1.2^ISO", "RIS", "H"]
    assert (header.text(10), header.text(18)) == ("a" * 20, "8859/1")


def test_what_a_character_set_cannot_hold_is_told_and_never_garbled() -> None:
    latin = Own(codec="iso8859-1")
    assert encode("Zoë", latin) == (b"Zo\xeb", True)
    assert encode("Łukasz", latin) == (b"?ukasz", False)
    assert encode("Łukasz", Own()) == ("Łukasz".encode(), True)


@pytest.mark.parametrize("pid", ["PID|1||||", 'PID|1||P1^^^H||""|', "PID|1||~^^^H~P2||^|^|yesterday|"])
def test_a_patient_of_whom_little_is_known_breaks_nothing(pid: str) -> None:
    for form in FORMS:
        back = read(written(form, said=news(orm(pid=pid))).encode(), "utf-8")
        assert back.required("PID").text(7) == ""
