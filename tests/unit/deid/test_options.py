"""What the options of PS3.15 section E.3 and a site's own rules make of attributes."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ParametricMapStorage, RTStructureSetStorage, SegmentationStorage

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.profile import Dates, LegalBasis, Profile, SiteRule, Wish
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

PERSON = {"PatientName": "Kilmister^Ian", "PatientID": "MRN8472655"}


def profile(*options: Option, **more: Any) -> Profile:
    """A profile with these options."""
    return Profile("trial", "7", frozenset(options), **more)


def cleaned(using: Profile, change: Any = None, **attributes: Any) -> Dataset:
    """A CT slice with ``attributes``, de-identified by ``using``, as pydicom reads it."""
    (slice_,) = make_instances(1, **{**PERSON, **attributes})
    if change:
        change(slice_)
    return dcmread(BytesIO(clean(as_file(slice_), trusting(profile=using))[1]))


def test_the_object_says_which_options_were_carried_out() -> None:
    """One CID 7050 item each; none for pixels that nobody has cleaned."""
    out = cleaned(profile(Option.CLEAN_PIXEL_DATA, Option.CLEAN_DESCRIPTORS, Option.MODIFIED_DATES))
    codes = [code.CodeValue for code in out.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107"]
    assert list(out.DeidentificationMethod)[2:] == ["Profile trial, version 7", "GDPR article 4(5) pseudonymised"]
    assert all(len(text) <= 64 for text in out.DeidentificationMethod)


def test_clean_pixels_are_told_of_where_they_were_looked_at_or_are_none(pictures: ProcessPictures) -> None:
    """And of pixels of a class that draws no text, but not of those of a project that can't look at them."""
    using = replace(trusting(profile=profile(Option.CLEAN_PIXEL_DATA)), pictures=pictures)

    def codes(using: Project = using, **attributes: Any) -> list[str]:
        (slice_,) = make_instances(1, **attributes)
        if attributes.get("SOPClassUID") == RTStructureSetStorage:
            del slice_.PixelData
        out = dcmread(BytesIO(clean(as_file(slice_), using)[1]))
        assert ("header only" in str(out.DeidentificationMethod)) is (len(out.DeidentificationMethodCodeSequence) == 1)
        claimed = len(out.DeidentificationMethodCodeSequence) > 1 and "PixelData" in out
        assert out.get("BurnedInAnnotation") == ("NO" if claimed else None)
        return [code.CodeValue for code in out.DeidentificationMethodCodeSequence]

    assert codes() == codes(SOPClassUID=RTStructureSetStorage) == ["113100", "113101"]
    assert codes(SOPClassUID=ParametricMapStorage) == codes(SOPClassUID=SegmentationStorage) == ["113100", "113101"]
    blind = replace(using, pictures=None)
    assert codes(blind) == codes(blind, SOPClassUID=SegmentationStorage) == ["113100"]


@pytest.mark.parametrize(
    ("using", "told"),
    [
        (profile(), "REMOVED"),
        (profile(Option.FULL_DATES), "UNMODIFIED"),
        (profile(Option.MODIFIED_DATES), "MODIFIED"),
        (profile(dates=Dates.YEARS), "MODIFIED"),
    ],
)
def test_the_object_says_what_became_of_its_dates(using: Profile, told: str) -> None:
    """Longitudinal Temporal Information Modified (0028,0303)."""
    assert cleaned(using).LongitudinalTemporalInformationModified == told


def test_all_dates_of_a_patient_move_together_and_times_stay() -> None:
    """By whole weeks; the birth date goes all the same."""
    using = profile(Option.MODIFIED_DATES)
    dates = {"StudyDate": "20200310", "SeriesDate": "20200317", "AcquisitionDateTime": "20200317101112.5+0100"}
    out = cleaned(using, StudyTime="101112", PatientBirthDate="19500101", **dates)
    days = trusting().key.days(out.PatientID)
    assert days % 7 == 0 and days < 0
    assert (out.SeriesDate, out.AcquisitionDateTime[8:]) == (out.AcquisitionDateTime[:8], "101112.5+0100")
    assert out.StudyDate < "20200310" and out.StudyTime == "101112"
    assert out.PatientBirthDate == ""


def test_years_are_all_that_safe_harbor_leaves() -> None:
    using = profile(dates=Dates.YEARS, legal_basis=LegalBasis.SAFE_HARBOR)
    out = cleaned(using, StudyDate="20200310", StudyTime="101112", AcquisitionDateTime="20200317101112")
    assert (out.StudyDate, out.AcquisitionDateTime, out.StudyTime) == ("20200101", "2020", "")


def test_full_dates_stay_unless_they_are_none() -> None:
    out = cleaned(profile(Option.FULL_DATES), StudyDate="20200310", PatientBirthDate="19500101")
    assert (out.StudyDate, out.PatientBirthDate) == ("20200310", "")

    def plant(slice_: Dataset) -> None:
        slice_.add_new(0x00080021, "LO", "for Lemmy")

    assert "SeriesDate" not in cleaned(profile(Option.FULL_DATES), plant)


def test_patient_characteristics_stay_and_ages_are_capped() -> None:
    using = profile(Option.PATIENT_CHARACTERISTICS)
    out = cleaned(using, PatientAge="093Y", PatientSex="F", PatientWeight="61.5", EthnicGroup="Basque")
    assert (out.PatientAge, out.PatientSex, out.PatientWeight, out.EthnicGroup) == ("090Y", "F", 61.5, "Basque")
    assert cleaned(using, PatientAge="089Y").PatientAge == "089Y"
    assert cleaned(profile(Option.PATIENT_CHARACTERISTICS, oldest_age=80), PatientAge="084Y").PatientAge == "080Y"


def test_a_retained_text_that_names_the_patient_is_cleaned() -> None:
    """K keeps what identifies a device or a place, not what somebody typed into it."""
    using = profile(Option.DEVICE_IDENTITY, Option.INSTITUTION_IDENTITY)
    out = cleaned(using, StationName="ROOM7", InstitutionName="Müller-Klinik", DeviceSerialNumber="SN 4711")
    assert (out.StationName, out.InstitutionName, out.DeviceSerialNumber) == ("ROOM7", "Müller-Klinik", "SN 4711")
    assert "Kilmister" not in str(cleaned(using, InstitutionName="ward of Kilmister").get("InstitutionName"))


def test_retained_uids_are_those_of_the_source_in_file_meta_too() -> None:
    (slice_,) = make_instances(1, **PERSON)
    out = dcmread(BytesIO(clean(as_file(slice_), trusting(profile=profile(Option.RETAIN_UIDS)))[1]))
    assert out.SOPInstanceUID == out.file_meta.MediaStorageSOPInstanceUID == slice_.SOPInstanceUID
    assert out.FrameOfReferenceUID == slice_.FrameOfReferenceUID


def test_codes_of_a_retained_sequence_stay_and_those_of_others_need_a_published_scheme() -> None:
    """K on a sequence: its items are cleaned, and trusted to be about what is retained."""

    def plant(slice_: Dataset) -> None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "7", "99LOCAL", "Ward 7"
        slice_.InstitutionCodeSequence, slice_.AnatomicRegionSequence = [code], [code]
        slice_.InstitutionName = "St. Elsewhere"

    out = cleaned(profile(Option.INSTITUTION_IDENTITY), plant)
    assert out.InstitutionCodeSequence[0].CodeMeaning == "Ward 7"
    assert out.AnatomicRegionSequence[0].CodeMeaning == "REMOVED"


def test_descriptions_keep_their_harmless_words() -> None:
    """Also in attributes that the table does not list, and never a name."""
    using = profile(Option.CLEAN_DESCRIPTORS)
    out = cleaned(using, SeriesDescription="chest Kilmister", FrameOfInterestDescription="left lung of Kilmister")
    assert out.SeriesDescription.split()[0] == "chest"
    assert "lung" in out.FrameOfInterestDescription
    assert "kilmister" not in f"{out.SeriesDescription} {out.FrameOfInterestDescription}".lower()
    assert "SeriesDescription" not in cleaned(profile(), SeriesDescription="chest")


def test_the_measurements_of_structured_content_stay() -> None:
    """Values that name somebody get dummies: the tree keeps its shape."""

    def plant(slice_: Dataset) -> None:
        number, person = Dataset(), Dataset()
        number.ValueType, number.NumericValue = "NUM", "7.5"
        person.ValueType, person.PersonName = "PNAME", "Kilmister^Ian"
        slice_.ContentSequence = [number, person]

    first, second = cleaned(profile(Option.CLEAN_STRUCTURED_CONTENT), plant).ContentSequence
    assert first.NumericValue == 7.5
    assert second.PersonName == "REMOVED"
    assert "NumericValue" not in cleaned(profile(), plant).ContentSequence[0]


def test_of_modified_dates_and_device_identity_the_dates_move() -> None:
    """A date that stays would give away by how much the others moved."""
    using = profile(Option.DEVICE_IDENTITY, Option.MODIFIED_DATES)
    out = cleaned(using, DateOfLastCalibration="20200310")
    assert out.DateOfLastCalibration < "20200310"
    assert (
        cleaned(profile(Option.DEVICE_IDENTITY), DateOfLastCalibration="20200310").DateOfLastCalibration == "20200310"
    )


def test_a_site_has_rules_of_its_own() -> None:
    rules = {
        0x00181030: SiteRule(Wish.REPLACE, "BRAIN"),
        0x00080070: SiteRule(Wish.REMOVE),
        0x00081090: SiteRule(Wish.EMPTY),
        0x00081010: SiteRule(Wish.KEEP),
        0x00080080: SiteRule(Wish.CLEAN),
    }
    out = cleaned(
        profile(attributes=rules),
        ProtocolName="x",
        ManufacturerModelName="m",
        StationName="R7",
        InstitutionName="chest",
    )
    assert (out.ProtocolName, out.ManufacturerModelName, out.StationName) == ("BRAIN", "", "R7")
    assert "Manufacturer" not in out
    assert out.InstitutionName == "chest"


def test_a_profile_may_hold_back_a_class() -> None:
    with pytest.raises(Withheld) as refused:
        cleaned(profile(held_classes=frozenset({CTImageStorage})))
    assert refused.value.code is Reason.HELD_BY_PROFILE


def test_what_was_done_is_counted_by_attribute_and_rule_without_values() -> None:
    def plant(slice_: Dataset) -> None:
        item = Dataset()
        item.add_new(0x00080104, "LO", "Kilmister")
        item.add_new(0x00091001, "LO", "Kilmister")
        slice_.AnatomicRegionSequence = [item, item]

    (slice_,) = make_instances(1, **PERSON, StationName="R7", StudyDate="20200310")
    plant(slice_)
    told, _ = clean(as_file(slice_), trusting(profile=profile(Option.DEVICE_IDENTITY, Option.MODIFIED_DATES)))
    steps = {str(step): count for step, count in told.steps.items()}
    assert steps["(0008,1010) kept by retain_device_identity"] == 1
    assert steps["(0008,0020) cleaned by retain_longitudinal_modified_dates"] == 1
    assert steps["(0010,0010) pseudonym by basic"] == steps["(0010,0020) pseudonym by basic"] == 1
    assert steps["(0008,0090) emptied by basic"] == 1
    assert steps["(0008,2218)/(0008,0104) replaced by unlisted"] == 2
    assert steps["(0008,2218)/(0009,1001) removed by private"] == 2
    assert "ilmister" not in str(steps)


def test_the_line_of_the_headers_has_its_text_decoded() -> None:
    using = profile(Option.INSTITUTION_IDENTITY)
    (slice_,) = make_instances(1, **PERSON, InstitutionName="Müller-Klinik", SpecificCharacterSet="ISO_IR 100")
    told, _ = clean(as_file(slice_), trusting(profile=using))
    assert "Müller-Klinik" in json.dumps(json.loads(told.line), ensure_ascii=False)


def test_a_date_in_a_dummy_item_moves_with_the_others() -> None:
    """A dummy among dates that moved would be the only one of its shift."""

    def plant(slice_: Dataset) -> None:
        observer = Dataset()
        observer.VerifyingObserverName, observer.VerificationDateTime = "House^Gregory", "20240310120000"
        slice_.VerifyingObserverSequence = [observer]
        slice_.StudyDate = "20240310"

    out = cleaned(profile(Option.MODIFIED_DATES), plant)
    (observer,) = out.VerifyingObserverSequence
    assert observer.VerifyingObserverName == "REMOVED"
    assert (observer.VerificationDateTime[:8], observer.VerificationDateTime[8:]) == (out.StudyDate, "120000")
    assert cleaned(profile(), plant).VerifyingObserverSequence[0].VerificationDateTime.startswith("19000101")


@pytest.mark.parametrize("dates", [Option.FULL_DATES, Option.MODIFIED_DATES])
@pytest.mark.parametrize("value", ["-0930", "+1400", ""])
def test_an_offset_from_utc_stays_where_dates_do(dates: Option, value: str) -> None:
    assert cleaned(profile(dates), TimezoneOffsetFromUTC=value).TimezoneOffsetFromUTC == value


@pytest.mark.parametrize("dates", [Option.FULL_DATES, Option.MODIFIED_DATES])
@pytest.mark.parametrize("value", ["Brzezinski", "CHEST", "http://brz.pl/x"])
def test_words_in_place_of_an_offset_from_utc_go(dates: Option, value: str) -> None:
    assert "TimezoneOffsetFromUTC" not in cleaned(profile(dates), TimezoneOffsetFromUTC=value)


@pytest.mark.parametrize("value", ["+4711", "0930", "7X81-GG4"])
def test_a_code_in_place_of_an_offset_from_utc_stays_where_dates_stay_as_they_are(value: str) -> None:
    assert cleaned(profile(Option.FULL_DATES), TimezoneOffsetFromUTC=value).TimezoneOffsetFromUTC == value
    assert "TimezoneOffsetFromUTC" not in cleaned(profile(Option.MODIFIED_DATES), TimezoneOffsetFromUTC=value)
