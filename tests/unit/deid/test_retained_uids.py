"""UIDs that a profile retains: what becomes of one depends on it alone, so that references still lead somewhere."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage

from services.deid.domain.options import Option
from services.deid.domain.uids import tells_day
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import choosing, clean

DATED = "1.2.826.0.1.3680043.9.20240312.101500"


def retained(*options: Option, **attributes: Any) -> Dataset:
    """A slice with ``attributes``, de-identified where UIDs are retained."""
    (slice_,) = make_instances(1, PatientName="Kilmister^Ian", **attributes)
    return dcmread(BytesIO(clean(as_file(slice_), choosing(Option.RETAIN_UIDS, *options))[1]))


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.826.20240312.7",
        "1.2.826.0.20240312",
        "1.2.826.20240312101500.7",
        "1.2.826.202403121015009384756.7",
        "1.3.12.2.1107.5.2.19.45160.2018091812265244454190492.0.0.0",
        "1.3.12.2.1107.5.2.30.25641.30000005113007072225000001677",
        "1.2.392.7.2009.6.22.21.43",
        "1.2.392.7.22.6.2009",
        "2.25.20240312",
        "1.3.6.1.4.1.2009.3.2024.3.12",
    ],
)
def test_a_date_among_the_components_is_seen_by_the_uid_alone(uid: str) -> None:
    assert tells_day(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.826.20241312.7",  # no month
        "1.2.826.20240332.7",  # no day
        "1.2.826.202403129.7",  # nine digits
        "1.2.826.20240312991500.7",  # no time of day behind it
        "1.2.826.9920240312.7",
        "1.3.12.2.1107.5.2.30.25641.30000005993007072225000001677",
        "1.2.826.44.2009.33.5",
        "1.3.6.1.4.1.2009.3.12.7",  # an enterprise
        "1.3.6.1.4.1.645813.5855.20.2757121592.195101183",
        "2.25.4026187907236720298681569439965967546",  # holds 20298681
        "",
    ],
)
def test_other_numbers_are_no_date(uid: str) -> None:
    assert not tells_day(uid)


def test_a_uid_with_a_date_becomes_the_same_whatever_dates_the_header_has() -> None:
    """The study stays one, and what one object says of another is what that is called."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, f"{DATED}.8"
    study = {"StudyInstanceUID": f"{DATED}.7", "StudyDate": "20240311"}
    one = retained(**study, ContentDate="20240311", ReferencedImageSequence=Sequence([item]))
    other = retained(**study, ContentDate="20240312", FrameOfReferenceUID=f"{DATED}.8")
    assert one.StudyInstanceUID == other.StudyInstanceUID != f"{DATED}.7"
    assert one.ReferencedImageSequence[0].ReferencedSOPInstanceUID == other.FrameOfReferenceUID
    assert other.FrameOfReferenceUID.startswith("2.25.")
    assert DATED not in str(one) + str(other)


def test_where_whole_dates_stay_so_do_uids_that_tell_one() -> None:
    study = {"StudyInstanceUID": f"{DATED}.7", "StudyDate": "20240312"}
    assert retained(Option.FULL_DATES, **study).StudyInstanceUID == f"{DATED}.7"
    assert retained(Option.MODIFIED_DATES, **study).StudyInstanceUID.startswith("2.25.")


def test_a_birth_date_in_a_uid_holds_the_object_back_where_other_dates_stay() -> None:
    with pytest.raises(Withheld) as refused:
        retained(Option.FULL_DATES, PatientBirthDate="19530817", StudyInstanceUID="1.2.826.19530817.7")
    assert refused.value.code is Reason.IDENTIFIER_LEFT


def test_a_uid_with_an_identifier_is_the_same_in_every_object_that_goes_out() -> None:
    """The one whose header names it does not; it is not renamed there alone."""
    study = "1.2.826.0.1.9384756.5"
    with pytest.raises(Withheld) as refused:
        retained(AccessionNumber="ACC9384756", StudyInstanceUID=study)
    assert refused.value.code is Reason.IDENTIFIER_LEFT
    assert retained(AccessionNumber="ACC1111111", StudyInstanceUID=study).StudyInstanceUID == study


def test_of_several_uids_each_becomes_what_it_becomes_alone() -> None:
    """Also where the table does not list the attribute, and where an option retains a device."""
    relevant = ["1.2.826.7.8", f"{DATED}.9"]
    alone = retained(FrameOfReferenceUID=f"{DATED}.9").FrameOfReferenceUID
    assert alone.startswith("2.25.")
    out = retained(FailedSOPInstanceUIDList=relevant, DeviceUID=f"{DATED}.9")
    assert list(out.FailedSOPInstanceUIDList) == ["1.2.826.7.8", alone]
    assert out.DeviceUID == alone
    unlisted = retained(PaletteColorLookupTableUID="1.2.826.7.8", RelatedSeriesSequence=Sequence([related()]))
    assert unlisted.RelatedSeriesSequence[0].SeriesInstanceUID == alone


def related() -> Dataset:
    """A series that is told of by a UID with a date."""
    item = Dataset()
    item.StudyInstanceUID, item.SeriesInstanceUID = "1.2.826.7.8", f"{DATED}.9"
    return item
