"""Character sets by MSH-18."""

import pytest

from services.hl7_fhir.domain.messages.charset import codec
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import FieldInvalid, Place


def named(name: str, charset: str, encoding: str) -> bytes:
    header = rf"MSH|^~\&|RIS|HOSP|||20260101||ADT^A01|C1|P|2.5||||||{charset}"
    return f"{header}\rPID|1||P1||{name}\r".encode(encoding)


@pytest.mark.parametrize(
    ("charset", "encoding", "name"),
    [
        ("", "utf-8", "Müller"),
        ("ASCII", "ascii", "Muller"),
        ("8859/1", "latin-1", "Müller"),
        ("8859/2", "iso8859-2", "Dvořák"),
        ("8859/5", "iso8859-5", "Иванов"),
        ("8859/7", "iso8859-7", "Παπαδόπουλος"),
        ("8859/15", "iso8859-15", "Œuvre"),
        ("UNICODE UTF-8", "utf-8", "山田"),
        ("UTF-8", "utf-8", "山田"),
        ("ISO-8859-1", "latin-1", "Müller"),
        ("ISO IR87", "iso2022_jp", "山田"),
        ("GB 18030-2000", "gb18030", "张三"),
        ("KS X 1001", "euc_kr", "김희중"),
        ("UNICODE UTF-8~8859/1", "utf-8", "Müller"),
    ],
)
def test_names_are_read_in_the_character_set_that_the_message_declares(charset: str, encoding: str, name: str) -> None:
    assert read(named(name, charset, encoding), "utf-8").required("PID").text(5) == name


@pytest.mark.parametrize(
    ("charset", "encoding"), [("", "latin-1"), ("UNICODE UTF-8", "latin-1"), ("ASCII", "utf-8"), ("8859/3", "cp1252")]
)
def test_bytes_outside_the_declared_character_set_are_refused_at_msh_18(charset: str, encoding: str) -> None:
    with pytest.raises(FieldInvalid) as refusal:
        read(named("Müller\xa5", charset, encoding), "utf-8")
    assert refusal.value.place == Place("MSH", 1, 18)


@pytest.mark.parametrize("charset", ["KLINGON", "rot13", "hex", "unicode_escape", "utf-7", "zip"])
def test_a_character_set_that_is_none_is_refused(charset: str) -> None:
    with pytest.raises(FieldInvalid):
        codec(charset, "utf-8")


def test_the_site_says_what_an_undeclared_message_is_written_in() -> None:
    assert read(named("Müller", "", "latin-1"), "latin-1").required("PID").text(5) == "Müller"
