"""The Modality Worklist over orders that came in as HL7: dcmtk and pynetdicom ask, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from tests.support.databases import Migrated
from tests.support.hl7 import omi, orm
from tests.support.worklist import STEP, Desk, findscu, query, worklist

FIND = "1.2.840.10008.5.1.4.31"

#: PS3.4 table K.6-1: every return key of type 1, 1C, 2 and 2C, and those of type 3 that are supported. ``value`` is
#: what ``FULL`` says of it; None where HL7 has nothing that could.
RETURN_KEYS: tuple[tuple[str, str, str | None], ...] = (
    ("ScheduledProcedureStepSequence.ScheduledStationAETitle", "1", "AET1\\AET2"),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate", "1", "20260102"),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepStartTime", "1", "073000"),
    ("ScheduledProcedureStepSequence.Modality", "1", "MR"),
    ("ScheduledProcedureStepSequence.ScheduledPerformingPhysicianName", "2", "Tech^Nina^^Ms."),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepDescription", "1C", "Knee protocol"),
    ("ScheduledProcedureStepSequence.ScheduledStationName", "2", "Station 1"),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepLocation", "2", "Room 1"),
    ("ScheduledProcedureStepSequence.ScheduledProtocolCodeSequence.CodeValue", "1", "P1"),
    ("ScheduledProcedureStepSequence.ScheduledProtocolCodeSequence.CodingSchemeDesignator", "1", "99LOCAL"),
    ("ScheduledProcedureStepSequence.ScheduledProtocolCodeSequence.CodeMeaning", "3", "Knee protocol"),
    ("ScheduledProcedureStepSequence.PreMedication", "2C", None),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepID", "1", "SPS7"),
    ("ScheduledProcedureStepSequence.RequestedContrastAgent", "2C", None),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepStatus", "3", "SCHEDULED"),
    ("RequestedProcedureID", "1", "RP7"),
    ("RequestedProcedureDescription", "1C", "MR Knee"),
    ("RequestedProcedureCodeSequence.CodeValue", "1C", "24700-7"),
    ("RequestedProcedureCodeSequence.CodingSchemeDesignator", "1C", "LN"),
    ("RequestedProcedureCodeSequence.CodeMeaning", "3", "MR Knee"),
    ("StudyInstanceUID", "1", "1.2.840.99.7"),
    ("ReferencedStudySequence", "2", None),
    ("RequestedProcedurePriority", "2", "STAT"),
    ("PatientTransportArrangements", "2", "Wheelchair"),
    ("ReasonForTheRequestedProcedure", "3", "Pain"),
    ("RequestedProcedureComments", "3", "Left side"),
    ("AccessionNumber", "2", "ACC7"),
    ("IssuerOfAccessionNumberSequence.LocalNamespaceEntityID", "3", "HOSP"),
    ("RequestingPhysician", "2", "House^Gregory^^Dr."),
    ("ReferringPhysicianName", "2", "Wilson^James"),
    ("PlacerOrderNumberImagingServiceRequest", "3", "PL7"),
    ("FillerOrderNumberImagingServiceRequest", "3", "FI7"),
    ("AdmissionID", "2", "V77"),
    ("CurrentPatientLocation", "2", "Ward^12^B"),
    ("ReferencedPatientSequence", "2", None),
    ("PatientName", "1", "Doe^Jane^Q^Dr.^III MD"),
    ("PatientID", "1", "P1"),
    ("IssuerOfPatientID", "3", "HOSP"),
    ("IssuerOfPatientIDQualifiersSequence.UniversalEntityID", "3", "1.2.3"),
    ("OtherPatientIDsSequence.PatientID", "3", "S77"),
    ("PatientBirthDate", "2", "19800203"),
    ("PatientSex", "2", "F"),
    ("PatientWeight", "2", "65"),
    ("PatientSize", "3", "1.65"),
    ("ConfidentialityConstraintOnPatientDataDescription", "2", "VIP"),
    ("PatientState", "2", "Agitated"),
    ("PregnancyStatus", "2", "3"),
    ("MedicalAlerts", "2", "Pacemaker"),
    ("Allergies", "2", "Iodine; Latex"),
    ("SpecialNeeds", "2", "Wheelchair or stretcher bound"),
    ("PatientComments", "3", None),
)

NOTHING = Dataset()
NOTHING.SpecificCharacterSet = "ISO_IR 100"

FULL = "\r".join(
    (
        r"MSH|^~\&|RIS|HOSP|CAUSEWAY|HOSP|20260101120000||OMI^O23^OMI_O23|F1|P|2.5.1",
        "PID|1||P1^^^HOSP&1.2.3&ISO^MR~S77^^^NHS^NH||Doe^Jane^Q^III^Dr.^MD^L||19800203|F",
        "PV1|1|I|Ward^12^B|||||99^Wilson^James|||||||A2~B6|VIP|||V77^^^HOSP",
        "AL1|1||IOD^Iodine",
        "AL1|2||LAT^Latex",
        "ORC|NW|PL7^HIS|FI7^RIS||SC",
        "TQ1|||||||20260102083000+0100||S",
        "OBR|1|PL7^HIS|FI7^RIS|24700-7^MR Knee^LN||||||||^Agitated|^Pacemaker|||4711^House^Gregory^^^Dr.||||||||||||||"
        "^Wheelchair|^Pain|||12&Tech&Nina&&&Ms.",
        "NTE|1||Left side",
        "OBX|1|NM|29463-7^Body Weight^LN||65|kg",
        "OBX|2|NM|8302-2^Body Height^LN||165|cm",
        "IPC|ACC7^HOSP|RP7|1.2.840.99.7|SPS7|MR|P1^Knee protocol^99LOCAL|Station 1|Room 1|AET1~AET2",
        "",
    )
).encode()


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    async with worklist(migrated(request.param, "hl7_fhir"), migrate=False) as found:
        yield found


def value_of(answer: Dataset, path: str) -> str | None:
    """The value at a path of keywords as text; None when the element is not there."""
    *sequences, last = path.split(".")
    for name in sequences:
        if name not in answer:
            return None
        items = answer[name].value
        if not items:
            return ""
        answer = items[0]
    if last not in answer:
        return None
    value = answer[last].value
    if isinstance(value, (list, tuple)) or type(value).__name__ in ("MultiValue", "Sequence"):
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


async def test_every_return_key_of_the_standard_is_answered_to_dcmtk_with_its_type(desk: Desk, tmp_path: Path) -> None:
    await desk.send(FULL)
    (answer,) = await findscu(desk.port.port, tmp_path / "answers", *(_path(each) for each, _, _ in RETURN_KEYS))
    found = {path: value_of(answer, path) for path, _, _ in RETURN_KEYS}
    for path, kind, _ in RETURN_KEYS:
        assert found[path] is not None, f"{path} ({kind}) is missing"
        assert found[path] or kind in ("2", "2C", "3"), f"{path} of type {kind} is empty"
    assert found == {path: expected or "" for path, _, expected in RETURN_KEYS}


def _path(keywords: str) -> str:
    """``A.B`` as dcmtk writes it: ``(gggg,eeee)[0].(gggg,eeee)``."""
    tags = [f"{tag >> 16:04x},{tag & 0xFFFF:04x}" for each in keywords.split(".") if (tag := tag_for_keyword(each))]
    return "[0].".join(tags)


async def test_a_key_of_a_sequence_without_items_asks_for_all_of_it(desk: Desk, tmp_path: Path) -> None:
    await desk.send(FULL)
    (answer,) = await findscu(desk.port.port, tmp_path / "answers", "0040,0100", "0032,1064")
    assert answer[STEP].value[0].Modality == "MR"
    assert answer[STEP].value[0].ScheduledProtocolCodeSequence[0].CodeValue == "P1"
    assert answer.RequestedProcedureCodeSequence[0].CodeMeaning == "MR Knee"
    assert "PatientName" not in answer


async def test_implicit_and_explicit_syntax_say_the_same(desk: Desk) -> None:
    await desk.send(FULL)
    asked = query(PatientWeight="", PregnancyStatus=None, RequestedProcedureCodeSequence=[])
    answers = [(await desk.find(asked, syntax=syntax))[1] for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")]
    assert answers[0] == answers[1]
    assert answers[0][0].RequestedProcedureCodeSequence[0].CodingSchemeDesignator == "LN"


def numbered(number: int, modality: str = "CT", start: str = "202601020900", **fields: str) -> bytes:
    """An order with a patient, numbers and a study of its own."""
    pid = fields.pop("pid", f"PID|1||P{number}^^^HOSP^MR||Doe^Jane{number}||19800203|F")
    ipc = fields.pop("ipc", "")
    tail = ipc or f"ZDS|1.2.840.99.{number}^^Application^DICOM"
    numbers = {
        "orc2": f"PL{number}^HIS",
        "obr2": f"PL{number}^HIS",
        "orc3": f"FI{number}^RIS",
        "obr3": f"FI{number}^RIS",
        "obr18": f"ACC{number}",
        "obr24": modality,
        "obr36": start,
    }
    return orm(control_id=f"N{number}", pid=pid, tail=tail, **(numbers | fields))


@pytest.fixture
async def full(desk: Desk) -> Desk:
    """Some steps that differ in everything that a modality matches."""
    ipc = "IPC|ACC{0}^HOSP|RP{0}|1.2.840.99.{0}|SPS{0}|{1}|P^Protocol^99L|ST|Room|{2}"
    await desk.send(
        numbered(1, start="202601020800", ipc=ipc.format(1, "CT", "CT1")),
        numbered(2, start="202601021000", ipc=ipc.format(2, "MR", "MR1~MR2"), pid="PID|1||P2^^^HOSP^MR||Müller^Änne"),
        numbered(3, start="202601031200", ipc=ipc.format(3, "CT", "CT2"), pid="PID|1||p2^^^HOSP^MR||MULLER^Anton"),
        numbered(4, start="202601031800", modality="CT", pid="PID|1||X_4%[a]^^^NHS^MR||O'Neil*^Pat"),
    )
    return desk


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "1234"),
        ({"PatientName": "*"}, "1234"),
        ({"PatientName": "Müller^Änne"}, "2"),
        ({"PatientName": "muller^anne"}, "2"),
        ({"PatientName": "MUELLER*"}, ""),
        ({"PatientName": "mull*"}, "23"),
        ({"PatientName": "Mu?ler*"}, "23"),
        ({"PatientName": "*an*"}, "1123"[1:]),
        ({"PatientName": "Doe"}, ""),
        ({"PatientName": "Doe^Jane1^^^"}, "1"),
        ({"PatientName": "o'neil*"}, "4"),
        ({"PatientID": "P2"}, "2"),
        ({"PatientID": "p2"}, "3"),
        ({"PatientID": "P*"}, "12"),
        ({"PatientID": "?2"}, "23"),
        ({"PatientID": "X_4%[a]"}, "4"),
        ({"PatientID": "X?4%[*"}, "4"),
        ({"PatientID": "X_4[*"}, ""),
        ({"PatientID": "P_"}, ""),
        ({"PatientID": "%"}, ""),
        ({"AccessionNumber": "ACC3"}, "3"),
        ({"AccessionNumber": "acc3"}, ""),
        ({"RequestedProcedureID": "RP2"}, "2"),
        ({"StudyInstanceUID": "1.2.840.99.1"}, "1"),
        ({"StudyInstanceUID": ["1.2.840.99.1", "1.2.840.99.3"]}, "13"),
        ({"step_Modality": "CT"}, "134"),
        ({"step_Modality": "MR"}, "2"),
        ({"step_Modality": "US"}, ""),
        ({"step_ScheduledStationAETitle": "CT1"}, "14"),
        ({"step_ScheduledStationAETitle": "MR2"}, "24"),
        ({"step_ScheduledStationAETitle": "CT*"}, "134"),
        ({"step_ScheduledStationAETitle": "CT1", "step_Modality": "CT"}, "14"),
        ({"step_ScheduledProcedureStepID": "SPS3"}, "3"),
        ({"step_ScheduledProcedureStepStatus": "SCHEDULED"}, "1234"),
        ({"step_ScheduledProcedureStepStartDate": "20260102"}, "12"),
        ({"step_ScheduledProcedureStepStartDate": "20260102-20260103"}, "1234"),
        ({"step_ScheduledProcedureStepStartDate": "20260103-"}, "34"),
        ({"step_ScheduledProcedureStepStartDate": "-20260102"}, "12"),
        ({"step_ScheduledProcedureStepStartDate": "20260104-20260105"}, ""),
        ({"step_ScheduledProcedureStepStartTime": "0900-1300"}, "23"),
        ({"step_ScheduledProcedureStepStartTime": "10"}, "2"),
        ({"step_ScheduledProcedureStepStartTime": "1800-"}, "4"),
        (
            {
                "step_ScheduledProcedureStepStartDate": "20260102-20260103",
                "step_ScheduledProcedureStepStartTime": "0900-1300",
            },
            "23",
        ),
        ({"PatientName": "Mul*", "step_Modality": "CT", "step_ScheduledProcedureStepStartDate": "20260103"}, "3"),
    ],
)
async def test_matching(full: Desk, keys: dict[str, str], expected: str) -> None:
    asked = query(**keys)
    asked.SpecificCharacterSet = "ISO_IR 100"
    statuses, found = await full.find(asked)
    assert statuses[-1] == 0
    assert set(statuses[:-1]) <= {0xFF00}
    assert "".join(sorted(str(answer.StudyInstanceUID)[-1] for answer in found)) == expected


async def test_date_and_time_are_one_range_where_that_was_negotiated(full: Desk) -> None:
    asked = query(
        step_ScheduledProcedureStepStartDate="20260102-20260103", step_ScheduledProcedureStepStartTime="0900-1300"
    )
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = FIND, b"\x00\x01\x00"
    _, found = await full.find(asked, extended=[item])
    assert [str(each.StudyInstanceUID)[-1] for each in found] == ["2", "3"]
    narrow = query(
        step_ScheduledProcedureStepStartDate="20260102-20260103", step_ScheduledProcedureStepStartTime="11-19"
    )
    assert [len((await full.find(narrow, extended=each))[1]) for each in ([], [item])] == [2, 2]
    early = query(
        step_ScheduledProcedureStepStartDate="20260102-20260103", step_ScheduledProcedureStepStartTime="11-07"
    )
    assert [len((await full.find(early, extended=each))[1]) for each in ([], [item])] == [0, 0]
    over = query(step_ScheduledProcedureStepStartDate="20260102-20260103", step_ScheduledProcedureStepStartTime="09-08")
    assert [len((await full.find(over, extended=each))[1]) for each in ([], [item])] == [0, 1]


async def test_a_step_of_no_station_is_for_the_one_that_asks(desk: Desk) -> None:
    await desk.send(numbered(4))
    for asked, expected in (("CT9", "CT9"), ("", "CT1")):
        (answer,) = await desk.listed(step_ScheduledStationAETitle=asked)
        assert answer[STEP].value[0].ScheduledStationAETitle == expected


async def test_the_sites_stations_are_those_of_the_modality(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", scheduled_stations={"CT": ("CT1", "CT2")}) as desk:
        await desk.send(numbered(1), numbered(2, modality="MR"))
        (answer,) = await desk.listed(step_ScheduledStationAETitle="CT2", step_Modality="CT")
        assert list(answer[STEP].value[0].ScheduledStationAETitle) == ["CT1", "CT2"]


@pytest.mark.parametrize(
    ("name", "charset", "shown"),
    [
        ("Müller^Jörg", "ISO_IR 100", "Müller^Jörg"),
        ("Dvořák^Jiří", "ISO_IR 101", "Dvořák^Jiří"),
        ("Люкceмбypг^Роза", "ISO_IR 144", "Люкceмбypг^Роза"),
        ("Διονυσιος^Νικος", "ISO_IR 126", "Διονυσιος^Νικος"),
        (
            "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
            "\\ISO 2022 IR 87",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("Hong^Gildong^^^^^L^A~洪^吉洞^^^^^L^I~홍^길동^^^^^L^P", "ISO_IR 192", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("Wang^XiaoDong^^^^^L^A~王^小东^^^^^L^I", "ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("Doe^Jane", None, "Doe^Jane"),
    ],
)
async def test_names_keep_every_sign_in_a_character_set_that_has_it(
    desk: Desk, tmp_path: Path, name: str, charset: str | None, shown: str
) -> None:
    content = numbered(1, pid=f"PID|1||P1^^^HOSP^MR||{name}").replace(b"|2.5||||||", b"|2.5||||||UNICODE UTF-8")
    await desk.send(content)
    (answer,) = await desk.listed()
    told = answer.get("SpecificCharacterSet")
    assert (told if told is None or isinstance(told, str) else "\\".join(told)) == charset
    assert str(answer.PatientName) == shown
    (written,) = await findscu(desk.port.port, tmp_path / "answers", "0010,0010", "0008,0005=ISO_IR 192")
    assert str(written.PatientName) == shown
    assert written.get("SpecificCharacterSet") == ("ISO_IR 192" if charset else None)
    groups = shown.split("=")
    for group in groups:
        asked = query(PatientName=group.split("^")[0] + "*")
        asked.SpecificCharacterSet = "ISO_IR 192"
        assert len((await desk.find(asked))[1]) == 1, "found by every component group"


async def test_a_japanese_query_in_its_own_character_set_finds(desk: Desk) -> None:
    pid = "PID|1||P1^^^HOSP^MR||Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I"
    await desk.send(numbered(1, pid=pid).replace(b"|2.5||||||", b"|2.5||||||UNICODE UTF-8"))
    asked = query(PatientName="Yamada*=山田*")
    asked.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    assert len((await desk.find(asked))[1]) == 1


async def test_unsupported_keys_are_answered_empty_and_with_a_warning(desk: Desk) -> None:
    await desk.send(numbered(1))
    statuses, (answer,) = await desk.find(query(PatientAge="", step_CommentsOnTheScheduledProcedureStep=""))
    assert statuses == [0xFF01, 0]
    assert answer["PatientAge"].VR == "AS"
    assert answer.PatientAge in ("", None)
    statuses, found = await desk.find(query(PatientWeight="70"))
    assert (statuses, len(found)) == ([0xFF01, 0], 1), "a key that cannot be matched matches everything"
    statuses, _ = await desk.find(query(PatientWeight=""))
    assert statuses == [0xFF00, 0]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (query(step_ScheduledProcedureStepStartDate="yesterday"), 0xA900),
        (query(step_ScheduledProcedureStepStartTime="25h"), 0xA900),
        (NOTHING, 0xA900),
    ],
)
async def test_what_cannot_be_matched_is_refused(desk: Desk, asked: Dataset, status: int) -> None:
    await desk.send(numbered(1))
    assert await desk.find(asked) == ([status], [])


async def test_two_items_in_the_steps_sequence_are_refused(desk: Desk) -> None:
    asked = query()
    asked[STEP].value.append(Dataset())
    assert await desk.find(asked) == ([0xA900], [])


async def test_a_query_may_be_cancelled_and_the_association_goes_on(desk: Desk) -> None:
    await desk.send(*(numbered(number) for number in range(1000, 1400)))
    statuses, found = await desk.find(query(), cancel_after=1)
    # The last answers may be on their way when the cancel comes; test_worklist_port.py has it come in time.
    assert (statuses[-1] == 0xFE00) == (len(found) < 400)
    assert len(await desk.listed()) == 400


async def test_more_matches_than_allowed_end_with_out_of_resources(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", worklist_most=5) as desk:
        await desk.send(*(numbered(number) for number in range(10, 16)))
        statuses, found = await desk.find(query())
        assert (len(found), statuses[-1]) == (5, 0xA700)
        assert len(await desk.listed(PatientID="P10")) == 1


async def test_who_may_not_call_is_turned_away(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", worklist_callers=("CT1",)) as desk:
        assert await desk.find(query()) == ([0], [])
        for options in ({"caller": "CT2"}, {"called": "OTHER"}):
            with pytest.raises(AssertionError, match="no association"):
                await desk.find(query(), **options)


async def test_pages_follow_each_other_without_gaps(desk: Desk) -> None:
    await desk.send(*(numbered(number, start="202601020900") for number in range(1000, 1300)))
    found = await desk.listed()
    assert len({answer.PatientID for answer in found}) == len(found) == 300


async def test_several_associations_ask_at_once(full: Desk) -> None:
    answers = await asyncio.gather(*(full.find(query()) for _ in range(8)))
    assert {len(found) for _, found in answers} == {4}


async def test_an_order_without_a_modality_is_no_imaging_order(desk: Desk) -> None:
    await desk.send(numbered(1, modality="LAB"), numbered(2, modality=""), numbered(3, modality="NMR"))
    assert [answer[STEP].value[0].Modality for answer in await desk.listed()] == ["MR"]


async def test_the_corpus_imaging_order_is_listed(desk: Desk, corpus: Path) -> None:
    await desk.send((corpus / "hl7" / "imaging" / "OMI^O23-ImagingOrder.hl7").read_bytes())
    asked = query(PatientWeight="", RequestingPhysician="", MedicalAlerts="")
    asked[STEP].value[0].ScheduledPerformingPhysicianName = ""
    _, (answer,) = await desk.find(asked)
    step = answer[STEP].value[0]
    assert str(answer.PatientName) == "Smith^Lucy^Mark"
    assert step.ScheduledStationAETitle == "CT1", "the corpus' titles have 20 characters: no AE title, so any station"
    assert str(answer.RequestingPhysician).startswith("RequestingPhysicianFN^RequestingPhysicianGN")
    assert answer.PatientWeight == 65


async def test_an_omi_with_several_steps_lists_each(desk: Desk) -> None:
    two = (
        "IPC|ACC7^HOSP|RP7|1.2.840.99.7|SPS1|MR|P1^Knee^99L|ST1|Room 1|MR1\r"
        "IPC|ACC7^HOSP|RP7|1.2.840.99.7|SPS2|CT|P2^Knee CT^99L|ST2|Room 2|CT1"
    )
    await desk.send(omi(ipc=two))
    found = {each[STEP].value[0].ScheduledProcedureStepID: each[STEP].value[0] for each in await desk.listed()}
    assert {name: (step.Modality, step.ScheduledStationAETitle) for name, step in found.items()} == {
        "SPS1": ("MR", "MR1"),
        "SPS2": ("CT", "CT1"),
    }
    later = omi("XO", control_id="I2", time="20260101130000", ipc=two.split("\r")[0])
    await desk.send(later)
    assert [each[STEP].value[0].ScheduledProcedureStepID for each in await desk.listed()] == ["SPS1"]
