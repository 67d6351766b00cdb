"""Names, lengths and character sets as DICOM writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.messages.message import Field, read
from services.hl7_fhir.domain.worklist import dicom_text


def field(text: str) -> Field:
    return (
        read(rf"MSH|^~\&|R|H|||20260101||ADT^A04|1|P|2.5{chr(13)}ZZZ|{text}".encode(), "utf-8").required("ZZZ").field(1)
    )


@pytest.mark.parametrize(
    ("xpn", "expected"),
    [
        ("", ""),
        ("Doe", "Doe"),
        ("Doe^Jane^Q^III^Dr.^MD", "Doe^Jane^Q^Dr.^III MD"),
        ("Doe^^^^Dr.", "Doe^^^Dr."),
        ("van Beethoven&van&Beethoven^Ludwig", "van Beethoven^Ludwig"),
        ("Nick^^^^^^N~Doe^Jane^^^^^L", "Doe^Jane"),
        ("Nick^^^^^^N", "Nick"),
        (r"O\S\Neil^Pat", "O Neil^Pat"),
        ("山田^太郎^^^^^L^I~Yamada^Tarou^^^^^L^A", "Yamada^Tarou=山田^太郎"),
        ("山田^太郎^^^^^L^I", "=山田^太郎"),
        ("a=b=c=d", "a b c d"),
        (r"back\E\slash", "back/slash"),
        ('""', ""),
    ],
)
def test_a_name_becomes_a_pn(xpn: str, expected: str) -> None:
    assert dicom_text.person_name(field(xpn)) == expected


@pytest.mark.parametrize(
    ("xcn", "expected"),
    [("4711^House^Gregory^^^Dr.^MD", "House^Gregory^^Dr.^MD"), ("4711", ""), ("^House", "House")],
)
def test_a_person_with_an_id_becomes_a_pn(xcn: str, expected: str) -> None:
    assert dicom_text.person_name(field(xcn), 2) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller^Jörg", "MULLER^JORG"),
        ("Straße", "strasse"),
        ("Doe^Jane^^^", "doe^jane"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("Çelik^İpek", "celik^ipek"),
        ("Ångström", "angstrom"),
    ],
)
def test_names_are_compared_without_case_accents_and_width(one: str, other: str) -> None:
    assert dicom_text.folded(one) == dicom_text.folded(other)


def test_what_is_compared_has_a_bound() -> None:
    assert [len(group) for group in dicom_text.folded("ﷺ" * 64)] == [192]


def test_names_of_other_sounds_are_not_the_same() -> None:
    assert dicom_text.folded("ハハ") != dicom_text.folded("ババ")
    assert dicom_text.folded("Muller") != dicom_text.folded("Mueller")


@given(st.text(max_size=200))
def test_whatever_a_value_is_every_sign_that_may_be_kept_is_kept(value: str) -> None:
    value = dicom_text.clean(value.encode("utf-8", "ignore").decode(), "LO")
    charset = dicom_text.character_set([value], tuple(dicom_text.CODECS))
    encoded = dicom_text.encoded(value, "LO", charset)
    assert encoded.decode(dicom_text.CODECS.get(charset, "ascii")) == value


@given(st.text(max_size=300), st.sampled_from(["LO", "SH", "PN", "LT", "CS"]))
def test_what_is_cut_fits(value: str, vr: str) -> None:
    assert not dicom_text.is_too_long(dicom_text.cut(dicom_text.clean(value, vr), vr), vr)


@given(
    st.lists(
        st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=3).map(tuple), max_size=16).map(tuple), max_size=4
    )
)
def test_any_field_becomes_at_most_three_groups_of_five_parts(repetitions: list[tuple[tuple[str, ...], ...]]) -> None:
    for at in (1, 2):
        groups = dicom_text.person_name(tuple(repetitions), at).split("=")
        assert len(groups) <= 3
        assert all(group.count("^") <= 4 and "\\" not in group for group in groups)
