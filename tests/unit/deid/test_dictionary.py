"""The table of the standard's dictionary against pydicom's, which it was made from."""

from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR

from services.deid.domain.dictionary import is_registered, known_vr
from services.deid.domain.tables.generate import NEW_VRS

CHOICES = {"US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW", "OB or OW": "OW"}
GROUPS = sorted({int(pattern[:2], 16) for pattern in RepeatersDictionary})


def expected(tag: int) -> str | None:
    """What pydicom says, and PS3.6 of what it does not know yet."""
    if f"{tag:08X}" in NEW_VRS:
        return NEW_VRS[f"{tag:08X}"]
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None
    return CHOICES.get(vr, vr)


def test_every_attribute_has_its_vr() -> None:
    tags = {*DicomDictionary, *(int(tag, 16) for tag in NEW_VRS if "x" not in tag)}
    assert {tag: known_vr(tag) for tag in tags} == {tag: expected(tag) for tag in tags}


@given(
    st.integers(0, 0xFFFFFFFF)
    | st.builds(lambda first, rest: first << 24 | rest, st.sampled_from(GROUPS), st.integers(0, 0xFFFFFF))
    | st.builds(
        lambda pattern, digits: int("".join(digits if each == "x" else each for each in pattern), 16),
        st.sampled_from(sorted(RepeatersDictionary)),
        st.sampled_from("0123456789ABCDEF"),
    )
)
def test_repeating_groups_have_theirs_and_private_attributes_none(tag: int) -> None:
    assert known_vr(tag) == expected(tag)


def test_registered_uids_are_known() -> None:
    assert [uid for uid in UID_dictionary if not is_registered(uid)] == []
    assert is_registered("1.2.840.10008.1.2.4.110") and not is_registered("1.2.3")
