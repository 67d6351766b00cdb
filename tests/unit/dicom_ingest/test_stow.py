"""Store requests without a network: parts however they are cut, media types, statuses, answers, pace."""

import json
import tracemalloc
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.adapters.multipart import MultipartReader
from services.dicom_ingest.domain.command import InstanceRefused
from services.dicom_ingest.domain.negotiation import DEFLATED
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.part10_meta import META_LIMIT, BadMeta, MetaReader
from services.dicom_ingest.domain.stow import Names, Outcome, RequestRefused, continued, failed, status_of
from services.dicom_ingest.domain.stow import stored as stored_outcome
from services.dicom_ingest.domain.stow_answer import encode
from services.dicom_ingest.domain.stow_media import JSON, XML, answer_type, declared_length, read_body
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.handlers.stow_body import Pace
from services.dicom_ingest.handlers.stow_parts import OneFile, StoreRequest
from services.dicom_ingest.ports import SpoolRefused
from shared.identity import SiteKey
from tests.unit.dicom_ingest.data_sets import element
from tests.unit.dicom_ingest.fakes import FakeFarewells, FakeRoom, FakeSpool

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
STUDY = element(0x0020000D, b"UI", b"1.2.9\0")
DATA = STUDY + element(0x7FE00010, b"OW", b"pixels")
FILE = file_header(CT, "1.2.3", EXPLICIT) + DATA
#: Bytes that look like boundaries and are none, among others.
TRICKY = st.lists(st.sampled_from([b"\r\n--next", b"\r", b"\n", b"--", b"\r\n--nex", b"\r\n", b"x", bytes(9)])).map(
    b"".join
)


class Gathered:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, str], bytes]] = []
        self.ended = 0

    def begin(self, headers: Mapping[str, str]) -> None:
        self.parts.append((dict(headers), b""))

    def write(self, chunk: memoryview) -> None:
        headers, data = self.parts[-1]
        self.parts[-1] = (headers, data + bytes(chunk))

    def end(self) -> None:
        self.ended += 1


def hall() -> tuple[Reception, FakeSpool, FakeRoom]:
    """A reception with fakes."""
    spool, room = FakeSpool(), FakeRoom()
    reception = Reception(
        spool=spool, room=room, farewells=FakeFarewells(), site_key=SiteKey(bytes(32)), largest=lambda _: 1 << 20
    )
    return reception, spool, room


def store(*chunks: bytes, visit: Visit | None = None) -> tuple[StoreRequest, FakeSpool]:
    """What becomes of one file that comes in these chunks."""
    reception, spool, _ = hall()
    request = StoreRequest(reception, visit or Visit("who", "STOW-RS", "::1"), 10)
    request.enter()
    reader = OneFile(request)
    for chunk in filter(None, chunks):
        request.feed(reader, chunk)
    request.feed(reader, b"")
    request.leave("released")
    return request, spool


def in_pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    """``body`` cut at these distances, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(body):
        pieces.append(body[at : at + sizes[turn % len(sizes)]])
        at, turn = at + len(pieces[-1]), turn + 1
    return pieces


def delimits(text: bytes) -> bool:
    """Whether the boundary is in it, at the beginning of a line with the end of the line behind it (RFC 2046)."""
    return any(end in b"\r\n" + text + b"\r\n--next" for end in (b"\r\n--next\r\n", b"\r\n--next--"))


@given(
    preamble=st.none() | TRICKY,
    parts=st.lists(TRICKY, max_size=4),
    padding=st.sampled_from([b"", b" ", b" \t \t"]),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_parts_are_what_was_sent_however_the_body_is_cut(
    preamble: bytes | None, parts: list[bytes], padding: bytes, sizes: list[int]
) -> None:
    """Also behind text that is no part, and where boundaries have blanks behind them (RFC 2046 section 5.1.1)."""
    parts = [part for part in parts if not delimits(part)]
    before = b"" if preamble is None or delimits(preamble) else preamble + b"\r\n"
    head = b"--next" + padding + b"\r\nContent-Type: a/b\r\nX-Y:  z\r\n\r\n"
    body = before + b"".join(head + part + b"\r\n" for part in parts) + b"--next--" + padding + b"\r\nepilogue"
    sink = Gathered()
    reader = MultipartReader("next", sink, 100)
    for piece in in_pieces(body, sizes):
        reader.feed(piece)
    reader.finish()
    assert [data for _, data in sink.parts] == parts
    assert all(headers == {"content-type": "a/b", "x-y": "z"} for headers, _ in sink.parts)
    assert sink.ended == len(parts)


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary",
        b"a note\n--next--",
        b"--nextone--",
        b"--next \t!\r\nA: b\r\n\r\n\r\n--next--",
        b"--next\r\nA: b\r\n folded\r\n\r\n\r\n--next--",
        b"--next\r\nno header\r\n\r\n",
        b"--next\r\nA: " + b"x" * 200,
        b"--next\r\n" + b"A: b\r\n" * 17 + b"\r\n",
        b"--next\r\nA: b\r\n\r\ndata",
        b"",
    ],
)
def test_a_body_that_is_broken_or_cut_short_is_a_bad_request(body: bytes) -> None:
    reader = MultipartReader("next", Gathered(), 100)
    with pytest.raises(RequestRefused) as refused:
        reader.feed(body)
        reader.finish()
    assert refused.value.http_status == 400


def test_a_preamble_is_bounded_and_is_no_part() -> None:
    """It is not kept either, however long it goes on before it is refused."""
    sink = Gathered()
    reader = MultipartReader("next", sink, 100)
    for _ in range(64):
        reader.feed(bytes(1024))
    reader.feed(b"\r\n--next\r\n\r\nx\r\n--next--")
    assert sink.parts == [({}, b"x")]
    endless = MultipartReader("next", sink, 100)
    with pytest.raises(RequestRefused) as refused:
        for _ in range(66):
            endless.feed(bytes(1024))
    assert (refused.value.http_status, refused.value.reason) == (400, "broken-multipart")


@given(st.lists(st.integers(1, 300), min_size=1, max_size=9))
def test_the_data_set_is_stored_as_it_came_however_it_is_cut(sizes: list[int]) -> None:
    request, spool = store(*in_pieces(FILE, sizes))
    assert [each.data for each in spool.committed] == [DATA]
    assert request.outcomes == [Outcome(Names(CT, "1.2.3", "1.2.9"))]


def test_a_wrong_group_length_hides_no_byte_of_the_data_set_except_before_a_deflate_stream() -> None:
    header = file_header(CT, "1.2.3", EXPLICIT)
    assert MetaReader().feed(header[:140] + b"\1\0\0\0" + header[144:] + DATA)[1] == DATA  # type: ignore[index]
    deflated = file_header(CT, "1.2.3", DEFLATED)
    stream = b"\2\0begins like an element of the meta information"
    assert MetaReader().feed(deflated + stream)[1] == stream  # type: ignore[index]


@pytest.mark.parametrize(
    ("file", "failure"),
    [
        (DATA + bytes(200), 0xC000),
        (b"", 0xC000),
        (FILE[:200], 0xC000),
        (file_header(CT, "1.2.3", EXPLICIT), 0xC000),
        (file_header("", "1.2.3", EXPLICIT) + DATA, 0xC000),
        (file_header(CT, "DOE^JOHN", EXPLICIT) + DATA, 0xC000),
        (file_header("1.2.840.10008.1.1", "1.2.3", EXPLICIT) + DATA, 0x0122),
        (file_header(CT, "1.2.3", "1.2.840.10008.1.2.6.1") + DATA, 0xC122),
        (FILE + bytes(1 << 20), 0xA700),
    ],
)
def test_a_part_that_cannot_be_stored_leaves_nothing_and_has_its_reason(file: bytes, failure: int) -> None:
    request, spool = store(file)
    assert [each.failure for each in request.outcomes] == [failure]
    assert (spool.committed, request.visit.refused, request.visit.stored) == ([], 1, 0)


@pytest.mark.parametrize("uid", ["DOE^JOHN", "1.2\x01.3", "1.2\n3"])
def test_what_is_no_uid_is_not_repeated_in_the_answer(uid: str) -> None:
    """It may be a name, or nothing that XML can hold."""
    request, _ = store(file_header(CT, uid, EXPLICIT) + DATA)
    as_json, as_xml = (b"".join(encode(request.outcomes, "https://h", kind)) for kind in (JSON, XML))
    ElementTree.fromstring(as_xml)
    assert "0008119A" in json.loads(as_json) and "00081198" not in json.loads(as_json)


def test_meta_information_without_end_is_not_gathered() -> None:
    reader = MetaReader()
    with pytest.raises(BadMeta):
        reader.feed(bytes(128) + b"DICM" + b"\2\0\2\1OB\0\0" + (META_LIMIT + 1).to_bytes(4, "little"))


def test_only_the_study_of_the_url_is_taken() -> None:
    assert store(FILE, visit=Visit("w", "S", "::1", only_study="1.2.9"))[0].outcomes[0].failure is None
    request, spool = store(FILE, visit=Visit("w", "S", "::1", only_study="1.2.8"))
    assert (request.outcomes[0].failure, request.outcomes[0].kind, spool.committed) == (0xA901, 409, [])


def test_a_part_shorter_than_it_declares_was_cut_short() -> None:
    reception, spool, _ = hall()
    request = StoreRequest(reception, Visit("who", "STOW-RS", "::1"), 10)
    request.enter()
    for declared in (len(FILE) + 1, len(FILE)):
        request.begin({"content-length": str(declared)})
        request.write(memoryview(FILE))
        request.end()
    assert [each.failure for each in request.outcomes] == [0xC000, None]
    assert len(spool.committed) == 1


def test_after_the_end_nothing_is_written_any_more() -> None:
    reception, spool, _ = hall()
    request = StoreRequest(reception, Visit("who", "STOW-RS", "::1"), 10)
    request.enter()
    reader = OneFile(request)
    request.feed(reader, FILE + bytes(8192))
    request.leave("lost")
    request.feed(reader, b"")
    assert (spool.committed, len(spool.abandoned)) == ([], 1)


OK, WARNED = Outcome(Names("1", "2")), Outcome(Names("1", "2"), warning=0xB007)
MISMATCH = failed(Names("1", "2"), InstanceRefused("other-study", 0xA901))
LOW, LARGE = failed(Names(), SpoolRefused("disk-low")), failed(Names(), SpoolRefused("instance-too-large"))
STUCK, BUG = failed(Names(), SpoolRefused("spool-eio")), failed(Names(), ValueError())


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 400),
        ([OK, OK], 200),
        ([OK, WARNED], 202),
        ([OK, LOW], 202),
        ([MISMATCH, MISMATCH], 409),
        ([LOW, LOW], 507),
        ([LARGE], 413),
        ([STUCK], 503),
        ([LOW, MISMATCH], 409),
        ([BUG], 409),
    ],
)
def test_the_status_says_what_came_of_all_parts(outcomes: list[Outcome], status: int) -> None:
    assert status_of(outcomes) == status
    assert BUG.failure == 0x0110


def test_json_and_xml_tell_the_same() -> None:
    told = stored_outcome(Names(CT, "1.2.3"), Names("", "", "1.2.9", "1.2.8"))
    outcomes = [told, WARNED, MISMATCH, LOW]
    as_json, as_xml = (b"".join(encode(outcomes, "https://h/dicom-web", kind)) for kind in (JSON, XML))
    urls = [item["00081190"] for item in json.loads(as_json)["00081199"]["Value"]]
    own = "https://h/dicom-web/studies/1.2.9/series/1.2.8/instances/1.2.3"
    assert urls == [{"vr": "UR", "Value": [own]}, {"vr": "UR"}]
    root = ElementTree.fromstring(as_xml)
    space = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    found = {each.get("keyword"): each for each in root.findall(f"{space}DicomAttribute")}
    assert set(found) == {"RetrieveURL", "FailedSOPSequence", "ReferencedSOPSequence", "OtherFailuresSequence"}
    assert [each.text for each in found["FailedSOPSequence"].iter(f"{space}Value")] == ["1", "2", str(0xA901)]
    assert [each.get("number") for each in found["ReferencedSOPSequence"]] == ["1", "2"]
    assert json.loads(b"".join(encode([], "https://h", JSON))) == {"00081190": {"vr": "UR"}}
    assert not list(ElementTree.fromstring(b"".join(encode([], "https://h", XML)))[0])


@pytest.mark.parametrize("kind", [JSON, XML])
def test_an_answer_of_thousands_of_parts_is_told_piece_by_piece(kind: str) -> None:
    count = 3_000
    tracemalloc.start()
    try:
        root = "1.2.826.0.1.3680043.8.498."
        outcomes = [
            stored_outcome(Names(CT, f"{root}{number:038d}"), Names("", "", f"{root}{1:038d}", f"{root}{2:038d}"))
            for number in range(count)
        ]
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        longest = max(map(len, encode(outcomes, "https://h/dicom-web", kind)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held / count < 400
    assert longest < 128 * 1024 and peak - held < 1 << 20


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/html, application/*;q=0.1", JSON),
        ("application/dicom+xml", XML),
        ("application/dicom+json;q=0.2, application/dicom+xml;q=0.5", XML),
        ("application/dicom+json;q=0, */*", XML),
        ("*/*;q=0.3, application/dicom+xml;q=0.2", JSON),
        ("text/html", None),
        ("application/dicom+json;q=0", None),
        ("*/*;q=0, text/html", None),
    ],
)
def test_the_answer_is_json_unless_xml_is_preferred(accept: str, kind: str | None) -> None:
    if kind is None:
        with pytest.raises(RequestRefused):
            answer_type(accept)
    else:
        assert answer_type(accept) == kind


def test_boundaries_are_read_with_and_without_quotes() -> None:
    for text in ('multipart/related; type="application/dicom"; boundary="a b"', "Multipart/Related;boundary=a"):
        assert (read_body({"content-type": text}).boundary or "").startswith("a")
    for text in ("multipart/related; boundary=", "multipart/related; boundary=" + "a" * 71):
        with pytest.raises(RequestRefused):
            read_body({"content-type": text})
    assert [declared_length({"content-length": text}) for text in ("12", "-1", "x", "9" * 30)] == [12, None, None, None]


def test_a_trace_is_continued_and_always_recorded() -> None:
    ids = f"00-{'a' * 32}-{'b' * 16}"
    assert continued(f"{ids}-00") == continued(f"{ids}-01") == f"{ids}-01"
    for text in (None, "", "x", f"00-{'0' * 32}-{'b' * 16}-01", f"{ids}-01-extra"):
        assert continued(text) is None


def test_of_a_later_version_of_traces_the_fields_of_the_first_are_read() -> None:
    ids = f"{'a' * 32}-{'b' * 16}"
    assert continued(f"cc-{ids}-01") == continued(f"cc-{ids}-09-what-comes") == f"00-{ids}-01"
    for text in (f"ff-{ids}-01", f"cc-{ids}-01what", f"cc-{'0' * 32}-{'b' * 16}-01"):
        assert continued(text) is None


def test_the_pace_counts_waits_alone_and_begins_anew_with_each_stored_instance() -> None:
    pace = Pace(idle=10, min_throughput=100)
    assert pace.note(9, 1, 0)
    assert not pace.note(2, 1, 0)
    assert pace.note(9, 1, 1)
    assert pace.note(5, 5000, 1)
