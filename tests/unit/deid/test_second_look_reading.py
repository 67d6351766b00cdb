"""The second look reads what is oddly coded, takes no word of ours for the patient's, and looks at what is told."""

import json
import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from services.deid.domain.file_meta import IMPLEMENTATION_NAME
from services.deid.domain.looking.ours import IMPLEMENTATION, our_texts
from services.deid.domain.looking.pixels import in_rest
from services.deid.domain.looking.reader import Broken, read_head
from services.deid.domain.looking.scanner import Finding, Look
from services.deid.domain.looking.search import Patterns
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.support.instances import as_file
from tests.unit.deid.looked_at import changed, kinds, look, original, plain, planted
from tests.unit.deid.originals import choosing, clean, project, trusting

ITEM, ITEM_END, END = b"\xfe\xff\0\xe0", b"\xfe\xff\r\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
UNKNOWN = 0xFFFFFFFF
#: Code Meaning, as explicit and as implicit VR have it.
EXPLICIT = b"\x08\0\x04\x01LO\x08\0Lindqvis"
IMPLICIT = b"\x08\0\x04\x01\x08\0\0\0Lindqvis"


def item(content: bytes, marked: bool = False) -> bytes:
    """An item of known length, or one that ends at a mark."""
    length = UNKNOWN if marked else len(content)
    return ITEM + struct.pack("<I", length) + content + (ITEM_END if marked else b"")


@pytest.mark.parametrize("content", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
@pytest.mark.parametrize("marked", [False, True])
def test_items_in_unknown_elements_are_read_whichever_way_they_are_coded(content: bytes, marked: bool) -> None:
    """PS3.5 section 6.2.2 asks for implicit VR; devices write explicit as well."""
    before, clear = plain()
    after = planted(clear, 0x00291001, "UN", item(content, marked) + item(b"", marked))
    (leaf,) = (leaf for leaf in read_head(BytesIO(after)).leaves if leaf.path.startswith("(0029,1001)"))
    assert (leaf.path, leaf.vr) == ("(0029,1001)[0]/(0008,0104)", "LO")
    assert look(before, after) == ()
    assert look(before, after.replace(b"Lindqvis", b"Astrid  ")) == (
        Finding("(0029,1001)[0]/(0008,0104)", "name"),
    )  # fmt: skip


@pytest.mark.parametrize("content", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_an_unknown_element_without_a_length_is_read_whichever_way_it_is_coded(content: bytes) -> None:
    before, clear = plain()
    after = planted(clear, 0x00291001, "UN", item(content) + item(content, marked=True) + END)
    at = after.index(b"\x29\0\x01\x10UN") + 8
    after = after[:at] + struct.pack("<I", UNKNOWN) + after[at + 4 :]
    assert [leaf.path for leaf in read_head(BytesIO(after)).leaves if leaf.tag >> 16 == 0x29] == []
    assert look(before, after) == ()
    assert kinds(look(before, after.replace(b"Lindqvis", b"Astrid  "))) == {"name"}


@pytest.mark.parametrize("content", [b"\x09\0\1\0", b"\x08\0\x04\x01??\xff\xffAstrid", item(b"") + b"\0\0"])
def test_what_only_begins_like_an_item_is_bytes(content: bytes) -> None:
    """It makes nothing unreadable, and is searched as it lies."""
    before, clear = plain()
    after = planted(clear, 0x00291001, "UN", ITEM + struct.pack("<I", 40) + content)
    (leaf,) = (leaf for leaf in read_head(BytesIO(after)).leaves if leaf.tag == 0x00291001)
    assert leaf.vr == "UN"
    found = {Finding("(0029,1001)", "name")} if b"Astrid" in content else set[Finding]()
    assert set(look(before, after)) == found


def test_items_in_items_that_read_no_way_take_no_longer_than_once() -> None:
    """Sixty levels of unknown elements around what is no data set."""
    content = b"\1\2\3\4" * 4
    for _ in range(60):
        inner = b"\x29\0\1\x10UN\0\0" + struct.pack("<I", len(content)) + content
        content = item(inner)
    before, clear = plain()
    assert look(before, planted(clear, 0x00291001, "UN", content)) == ()


def test_no_element_reaches_beyond_its_item() -> None:
    _, clear = plain()
    short = ITEM + struct.pack("<I", 8) + b"\x08\0\x04\x01LO\x20\0" + bytes(64)
    at = planted(clear, 0x00291001, "SQ", short)
    with pytest.raises(Broken):
        read_head(BytesIO(at))


def test_the_fragments_of_an_icon_are_searched() -> None:
    before, clear = plain()
    icon = item(b"\xe0\x7f\x10\0OB\0\0" + struct.pack("<I", UNKNOWN) + item(b"") + item(b"\xff\xd8Lindqvist\xff") + END)
    after = planted(clear, 0x00880200, "SQ", icon)
    assert look(before, after) == (Finding("(0088,0200)[0]/(7fe0,0010)[1]", "name"),)


def test_texts_that_end_in_several_nulls_are_no_finding() -> None:
    """Of a report whose values are padded with NUL, as some systems write them."""
    made = Dataset()
    made.update({each.tag: each for each in original() if each.tag.group not in (0x0018, 0x0028, 0x7FE0)})
    made.file_meta = original().file_meta
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.Modality, made.ValueType, made.ContinuityOfContent = "SR", "CONTAINER", "SEPARATE"
    inner = Dataset()
    inner.RelationshipType, inner.ValueType, inner.TextValue = "CONTAINS", "TEXT", "No finding\0\0\0\0"
    made.ContentSequence = Sequence([inner])
    before = as_file(made)
    cleaned, after = clean(before, choosing(Option.CLEAN_STRUCTURED_CONTENT))
    assert look(before, after, [("headers", cleaned.line)]) == ()
    padded = dcmread(BytesIO(after))
    padded.SeriesDescription = "CHEST\0\0\0"
    assert look(before, as_file(padded)) == ()
    padded.SeriesDescription = "Astrid\0\0\0"
    assert kinds(look(before, as_file(padded))) == {"name"}


@pytest.mark.parametrize(
    "own", ["2026d", "113100", "CAUSEWAY", "research-knee", "GDPR", "Modified", "Table E.1-1", "Profile", "UNMODIFIED"]
)
def test_our_own_words_are_no_finding_where_we_say_them(own: str) -> None:
    """A patient may be called like them, or have such a number."""
    made = original()
    made.PatientName, made.PatientID = f"{own}^Astrid", own
    before = as_file(made)
    using = Profile("research-knee")
    cleaned, after = clean(
        as_file(original(Manufacturer="Maker")), trusting(profile=using)
    )  # of one who is not called so
    told = [("headers", cleaned.line), ("manifest", cleaned.instance.model_dump_json().encode())]
    see = Look(project().rules, using).at
    assert see(BytesIO(before), BytesIO(after), told) == ()
    for tag in (0x00120063, 0x00181030):
        places = {
            each.place for each in see(BytesIO(before), BytesIO(planted(after, tag, "LO", f"of {own}!".encode())))
        }
        assert places == {f"({tag >> 16:04x},{tag & 0xFFFF:04x})"}
    line = json.dumps({"00120063": {"vr": "LO", "Value": [f"of {own}!"]}}).encode()
    assert see(BytesIO(before), BytesIO(after), [("headers", line)])


def test_what_is_ours_is_what_the_cleaner_writes() -> None:
    assert IMPLEMENTATION_NAME.casefold() == IMPLEMENTATION
    options = frozenset((Option.CLEAN_DESCRIPTORS, Option.FULL_DATES))
    assert {"113100", "113105", "unmodified", "yes", "dcm"} <= our_texts("2026d", Profile("any", options=options))


def test_all_of_a_deflated_file_is_searched() -> None:
    """Its pixels, and what stands behind the stream."""
    made = original(rows=64)
    made.file_meta = dcmread(BytesIO(as_file(made))).file_meta
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    before = as_file(made)
    after = clean(before)[1]
    head = read_head(BytesIO(after))
    assert look(before, after) == ()
    inside = bytearray(head.data)
    inside[-3000:-2991] = b"lindqvist"
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    changed_ = after[: head.dataset] + squeezer.compress(inside[head.dataset :]) + squeezer.flush()
    assert look(before, changed_) == (Finding(f"byte {len(inside) - 3000}", "name"),)
    assert kinds(look(before, after + b"....ACC778899....")) == {"identifier"}


def test_a_number_in_pixels_is_found_behind_a_longer_one() -> None:
    before = as_file(original(rows=64))
    after = clean(before)[1]
    pixels = b"1880117 9880117 "
    assert look(before, after[:-4000] + pixels + after[len(after) - 4000 + len(pixels) :]) == ()
    pixels += b"880117 "
    assert kinds(look(before, after[:-4000] + pixels + after[len(after) - 4000 + len(pixels) :])) == {"digits"}


NEEDLES = [b"kilmister", b"20200102", b"8472655", b"Mc-42/7"]


@given(st.binary(max_size=40), st.sampled_from(NEEDLES), st.binary(max_size=40))
def test_letters_in_pixels_are_found_wherever_they_lie(before: bytes, needle: bytes, after: bytes) -> None:
    texts = {"kilmister": "name", "8472655": "identifier", "mc-42/7": "identifier"}
    patterns = Patterns(texts, frozenset(("20200102",)))
    around = before[-1:] + after[:1]
    if needle.isdigit() and any(each in b"0123456789." for each in around):
        return
    found = dict(in_rest(3, BytesIO(b"xyz" + before + needle + after), patterns))
    assert 3 + len(before) in found
    assert not list(in_rest(3, BytesIO(b"xyz" + bytes(each % 0x20 for each in before) * 9), patterns))


@pytest.mark.parametrize(
    ("number", "found"), [("0.084906", set()), ("0.89.447755", {"phone"}), ("089.447755", {"phone"})]
)
def test_a_decimal_below_one_is_no_telephone_number(number: str, found: set[str]) -> None:
    before = as_file(original(DerivationDescription=f"compression error of {number}"))
    after = changed(clean(before)[1], DerivationDescription=f"error of {number}")
    assert kinds(look(before, after)) == found
