"""Profiles as files: what they say, and what is refused with its line."""

from pathlib import Path

import pytest

from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects
from services.deid.domain.options import Option
from services.deid.domain.profile import BASIC_PROFILE, Dates, LegalBasis, SiteRule, Wish
from services.deid.domain.profile_file import read_profile
from shared.yaml_lines import DocumentRefused

SHIPPED = sorted((Path(__file__).parents[3] / "examples" / "profiles").glob("*.yaml"))
HEAD = 'format: causeway.profile/1\nname: trial\nversion: "2"\n'


def problems(text: str, basis: str = "expert") -> list[str]:
    """What is wrong with a profile, each with its line."""
    with pytest.raises(DocumentRefused) as refused:
        read_profile(f"{HEAD}legal_basis: {basis}\n{text}")
    return [f"{problem.line}: {problem.text}" for problem in refused.value.problems]


def test_the_shipped_profiles_can_be_used() -> None:
    found = {path.stem: read_profile(path.read_text(), path.name) for path in SHIPPED}
    assert {name: profile.name for name, profile in found.items()} == {
        name: name for name in ("basic", "research", "safe_harbor")
    }
    assert found["basic"].options == frozenset()
    assert found["research"].has(Option.MODIFIED_DATES) and found["research"].hold_faces
    harbor = found["safe_harbor"]
    assert (harbor.legal_basis, harbor.dates, harbor.random_ids) == (LegalBasis.SAFE_HARBOR, Dates.YEARS, True)
    assert not found["research"].random_ids


def test_all_options_of_the_standard_can_be_chosen() -> None:
    """Those of PS3.15 section E.3, each of two that contradict each other in its turn; one holds faces by itself."""
    for left_out in (Option.FULL_DATES, Option.MODIFIED_DATES):
        chosen = sorted(set(Option) - {left_out})
        profile = read_profile(f"{HEAD}legal_basis: expert\noptions: [{', '.join(chosen)}]\n")
        assert profile.options == set(chosen) and len(chosen) == 11
        assert profile.holds_faces and not profile.hold_faces


def test_everything_that_a_profile_can_say_is_read() -> None:
    profile = read_profile(
        HEAD
        + "legal_basis: expert\n"
        + "options: [retain_safe_private, retain_uids]\n"
        + "oldest_age: 85\n"
        + "attributes:\n"
        + "  - {attribute: PatientSize, do: keep}\n"
        + '  - {attribute: "(0018,1030)", do: replace, with: BRAIN}\n'
        + "safe_private:\n"
        + '  - {creator: ACME, element: "0019,xx9e", vr: DS}\n'
        + "hold: {sop_classes: [1.2.840.10008.5.1.4.1.1.7], faces: true}\n"
    )
    assert (profile.name, profile.version, profile.oldest_age) == ("trial", "2", 85)
    assert profile.options == {Option.SAFE_PRIVATE, Option.RETAIN_UIDS}
    assert profile.attributes == {0x00101020: SiteRule(Wish.KEEP), 0x00181030: SiteRule(Wish.REPLACE, "BRAIN")}
    assert profile.private == {(0x0019, "ACME", 0x9E): "DS"}
    assert profile.held_classes == {"1.2.840.10008.5.1.4.1.1.7"} and profile.hold_faces


@pytest.mark.parametrize(
    ("text", "basis", "told"),
    [
        ("options: [clean_descriptor]", "expert", "5: unknown option 'clean_descriptor'; did you mean 'clean_descrip"),
        ("options:\n- retain_uids\n- retain_uids", "expert", "7: option 'retain_uids' stands twice"),
        (
            "options:\n- retain_longitudinal_full_dates\n- retain_longitudinal_modified_dates",
            "expert",
            "7: retain_longitudinal_full_dates keeps dates and retain_longitudinal_modified_dates moves them",
        ),
        ("options:\n- retain_uids", "safe_harbor", "6: retain_uids contradicts legal_basis safe_harbor: a UID of"),
        ("options:\n- retain_device_identity", "safe_harbor", "6: retain_device_identity contradicts"),
        ("options:\n- retain_institution_identity", "safe_harbor", "6: retain_institution_identity contradicts"),
        ("options:\n- retain_longitudinal_modified_dates", "safe_harbor", "6: retain_longitudinal_modified_dates con"),
        (
            "options: [retain_longitudinal_full_dates]\ndates: years",
            "expert",
            "6: 'dates: years' leaves years only, an option retains more",
        ),
        (
            "pictures: {known_devices_only: true}",
            "expert",
            "5: 'pictures' counts with the option clean_pixel_data only",
        ),
        ("dates: months", "expert", "5: unknown 'dates' 'months'; known: removed, years"),
        ("oldest_age: 95", "safe_harbor", "5: 'oldest_age' may be 90 at most"),
        ("oldest_age: 200", "expert", "5: 'oldest_age' must be between"),
        ("attributes:\n- {attribute: PatientSise, do: keep}", "expert", "6: no attribute is called 'PatientSise'; did"),
        ("attributes:\n- {attribute: PatientName, do: keep}", "expert", "6: (0010,0010) is set by de-identification"),
        ("attributes:\n- {attribute: OperatorsName, do: keep}", "expert", "6: (0008,1070) names the patient, a person"),
        ("attributes:\n- {attribute: AccessionNumber, do: clean}", "expert", "6: (0008,0050) names the patient, a pe"),
        ("attributes:\n- {attribute: SOPInstanceUID, do: remove}", "expert", "6: (0008,0018) must be there and be"),
        ("attributes:\n- {attribute: ICCProfile, do: keep}", "expert", "6: (0028,2000) is cleaned by what it is"),
        ("attributes:\n- {attribute: EncapsulatedDocument, do: keep}", "expert", "6: (0042,0011) is cleaned by what"),
        ("attributes:\n- {attribute: IconImageSequence, do: keep}", "expert", "6: (0088,0200) is removed whatever"),
        ('attributes:\n- {attribute: "0029,1010", do: keep}', "expert", "6: (0029,1010) is private: it can stay with"),
        ("attributes:\n- {attribute: StudyDate, do: keep}", "safe_harbor", "6: (0008,0020) may not be kept with leg"),
        ("attributes:\n- {attribute: StationName, do: keep}", "safe_harbor", "6: (0008,1010) may not be kept with"),
        (
            "options: [retain_longitudinal_modified_dates]\nattributes:\n- {attribute: StudyDate, do: keep}",
            "expert",
            "7: (0008,0020) may not be kept where dates move",
        ),
        ("attributes:\n- {attribute: StudyID, do: replace}", "expert", "6: 'with' says what replaces a value"),
        ("attributes:\n- {attribute: StudyID, do: remove, with: X}", "expert", "6: 'with' says what replaces"),
        (
            "attributes:\n- {attribute: StudyID, do: remove}\n- {attribute: StudyID, do: empty}",
            "expert",
            "7: there are two rules for (0020,0010)",
        ),
        ('safe_private:\n- {creator: A, element: "0019,10", vr: DS}', "expert", "6: 'safe_private' counts with the op"),
        ('safe_private:\n- {creator: A, element: "0018,10", vr: DS}', "expert", "6: 'element' must be a private group"),
        ("hold: {faces: maybe}", "expert", "5: 'faces' must be true or false"),
        ("hold: {sop_classes: CT}", "expert", "5: 'CT' is no SOP Class UID"),
        ("colour: red", "expert", "5: unknown key 'colour' in the profile"),
    ],
)
def test_a_contradiction_or_an_error_is_told_with_its_line(text: str, basis: str, told: str) -> None:
    found = problems(text, basis)
    assert any(problem.startswith(told) for problem in found), found


def test_all_problems_are_told_at_once() -> None:
    assert len(problems("dates: months\noldest_age: 200\nhold: {faces: maybe}")) == 3


@pytest.mark.parametrize("name", ["anonymous", "Anonymised", "fully-anonymized"])
def test_no_profile_promises_anonymity(name: str) -> None:
    text = HEAD.replace("trial", name) + "legal_basis: expert\n"
    with pytest.raises(DocumentRefused, match=":2: no profile may promise"):
        read_profile(text)


def test_a_project_has_the_profile_of_its_file_and_the_strictest_without_one(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(HEAD + "legal_basis: expert\noptions: [retain_uids]\n")
    projects = FileProjects(tmp_path / "keys", profiles=FileProfiles(tmp_path))
    assert projects.open("trial").profile.has(Option.RETAIN_UIDS)
    assert projects.open("other").profile == BASIC_PROFILE


def test_a_service_with_a_profile_that_contradicts_itself_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(HEAD + "legal_basis: safe_harbor\noptions: [retain_uids]\n")
    with pytest.raises(DocumentRefused, match=r"trial\.yaml:5: retain_uids contradicts"):
        FileProfiles(tmp_path)
