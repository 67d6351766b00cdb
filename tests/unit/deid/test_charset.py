"""Specific Character Set: the examples of PS3.5 annexes H to K and what senders make of them."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.charset import UNKNOWN, as_defined, charsets_of, decode, encode
from services.deid.domain.dataset import Element
from services.deid.domain.looking.reader import read_head
from tests.support.instances import as_file, make_instances
from tests.unit.deid.looked_at import planted
from tests.unit.deid.originals import clean

#: Character sets, bytes and text.
EXAMPLES = [
    ((), b"Adams^John", "Adams^John"),
    (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (("ISO_IR 101",), b"W\xb1\xb3", "Wął"),
    (("ISO_IR 109",), b"\xa1", "Ħ"),
    (("ISO_IR 110",), b"\xe0", "ā"),
    (("ISO_IR 126",), b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (("ISO_IR 127",), b"\xe2\xc8\xc7\xe6\xea", "قباني"),
    (("ISO_IR 138",), b"\xf9\xf8\xe5\xef", "שרון"),
    (("ISO_IR 144",), b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
    (("ISO_IR 148",), b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
    (("ISO_IR 166",), b"\xb9\xd2\xc1", "นาม"),
    (("ISO_IR 203",), b"\xa4", "€"),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (("GB18030",), b"Wang=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang=王^小东"),
    (("GBK",), b"\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"),
    (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        ("", "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (("", "ISO 2022 IR 58"), b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang=张^小东"),
    (("", "ISO 2022 IR 159"), b"\x1b$(D0!\x1b(B.", "丂."),
    (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"\xe9 \x1b-L\xb6^\xe9", "é Ж^é"),
]


@pytest.mark.parametrize(("charsets", "value", "text"), EXAMPLES)
def test_every_character_set_of_the_standard_is_read(charsets: tuple[str, ...], value: bytes, text: str) -> None:
    assert decode(value, charsets) == text


@pytest.mark.parametrize(("charsets", "value", "text"), EXAMPLES)
def test_text_that_is_written_reads_the_same(charsets: tuple[str, ...], value: bytes, text: str) -> None:
    assert decode(encode(text, charsets), charsets) == text


@pytest.mark.parametrize("charset", ["ISO-IR 100", "ISO IR 100", "ISO_IR_100", "ISO 2022 IR 100 "])
def test_a_misspelt_character_set_is_understood(charset: str) -> None:
    assert decode(b"\xe9", (charset,)) == "é"


@pytest.mark.parametrize(
    ("charsets", "value"),
    [((), b"M\xfcller"), (("NONSENSE",), b"\xe9"), (("ISO_IR 192",), b"\xff"), (("", "ISO 2022 IR 87"), b"\x1b$B;")],
)
def test_what_no_set_explains_is_marked(charsets: tuple[str, ...], value: bytes) -> None:
    """So that it counts as not understood."""
    assert UNKNOWN in decode(value, charsets)


def test_what_no_set_has_is_a_question_mark() -> None:
    assert encode("é山", ("ISO_IR 100",)) == b"\xe9?"
    assert encode("é", ()) == b"?"


@given(st.binary(), st.lists(st.sampled_from(["", "ISO_IR 192", "GBK", "ISO 2022 IR 87", "ISO 2022 IR 149", "x"])))
def test_no_bytes_are_refused(value: bytes, charsets: list[str]) -> None:
    encode(decode(value, tuple(charsets)), tuple(charsets))
    encode(decode(b"\x1b$B" + value, tuple(charsets)), tuple(charsets))


@given(st.text(alphabet="aZ ^=\\\r\n山田ﾔéĦ홍"))
def test_any_text_that_the_sets_have_comes_back(text: str) -> None:
    charsets = ("ISO 2022 IR 100", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 109", "ISO 2022 IR 13")
    assert decode(encode(text, charsets), charsets) == text


def test_an_item_has_its_own_sets_or_those_around_it() -> None:
    own = (Element(0x00080005, "CS", b"ISO 2022 IR 6\\ISO 2022 IR 87 "), Element(0x00100010, "PN", b"x"))
    assert charsets_of(own, ("ISO_IR 100",)) == ("ISO 2022 IR 6", "ISO 2022 IR 87")
    assert charsets_of(own[1:], ("ISO_IR 100",)) == ("ISO_IR 100",)


@pytest.mark.parametrize(
    ("written", "term"),
    [
        (b"ISO_IR 100", b"ISO_IR 100"),
        (b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 87"),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87 ", b"ISO 2022 IR 13\\ISO 2022 IR 87"),
        (b"GB18030", b"GB18030"),
        (b"", b""),
        (b"ISO-IR 100", b"ISO_IR 100"),
        (b"iso_ir 192\0", b"ISO_IR 192"),
        (b"utf-8", b"ISO_IR 192"),
        (b"ISO_IR 100\\ISO_IR 87", b"ISO_IR 100\\ISO 2022 IR 87"),
        (b"KILMISTER", None),
        (b"ISO_IR 999", None),
        (b"ISO_IR 100\\KILMISTER", None),
        (b"\xff", None),
    ],
)
def test_a_character_set_goes_out_in_the_terms_of_the_standard(written: bytes, term: bytes | None) -> None:
    """What is none does not go out at all: no dummy is one."""
    assert as_defined(written) == term
    (slice_,) = make_instances(1)
    out = read_head(BytesIO(clean(planted(as_file(slice_), 0x00080005, "CS", written))[1]))
    found = [out.data[leaf.start : leaf.stop].rstrip(b" ") for leaf in out.leaves if leaf.tag == 0x00080005]
    assert found == ([] if term is None else [term])
