"""What identifies by its shape where a value is kept for being a short technical one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.shapes import looks_identifying


@pytest.mark.parametrize(
    "text",
    [
        "078-05-1120", "078 05 1120", "078051120", "SSN 078-05-1120", "(930) 795-8691", "930.795.8691", "06221/123456",
        "+49 6221 123456", "ian@host.example", "mailto:ian", "00:1A:2B:3C:4D:5E", "20110303", "2011-03-03",
        "VB20A_20110303", "20110303T143522", "3/1/60", "03.01.60", "27.11.2009", "29 Oct 2001", "Mar 3 2011",
        "MRN12345", "MRN: 1234", "Accession 471122", "A123456", "ZJ77418176", "1234567", "94 yo", "093Y",
        "Mr. Stissokrak", "Dr. Long", "Frau Kilmister", "Kilmister^Ian", "I. Kilmister, MD", "12 Main Street",
        "2011:03:03 14:35:22", "06 12 34 56 78", "+33 6 12 34 56 78", "95 år", "95 vuotias",
        "Study 1.3.6.1.4.1.5962.1.2.1.20040119", "urn:oid:1.2.840.113619.2.55.3.604688119.969",
        "x" * 5000 + " 078-05-1120", "1" * 500,
    ],
)  # fmt: skip
def test_what_tells_a_person_is_seen_without_knowing_the_person(text: str) -> None:
    """Numbers of people, ways to reach them, dates, ages above 89, titles with a name."""
    assert looks_identifying(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "113100", "18782-3", "T-D4000", "C34.90", "syngo MR E11", "VB17A", "5.3.10", "51.80.108.010",
        "2.6.3.6", "DR-ID 300CL APL Software V7.4.0017", "EPIQ 5G_1.5.6.850", "SOMATOM Definition AS+", "Br40d\\3",
        "ORIGINAL\\PRIMARY\\M_SE\\M\\SE", "MR BRAIN", "MR.BRAIN", "measured,/MAR^CT", "G.E. Medical Systems", "94",
        "1.2 x 0.8 cm", "*tse2d1_15", "HE1-4;NE1,2", "Nurse practitioner", "Doctor Head", "0.0012345",
        "http://www.nema.org", "JPEG 2000", "1024", "128\\256\\512", "89 years", "10 20 30 40 50",
        "urn:oid:1.2.840.10008.2.16.4", "2.16.840.1.113883.6.96", "Pulsera 95M", "14:35:22",
    ],
)  # fmt: skip
def test_terms_of_techniques_and_devices_are_no_persons(text: str) -> None:
    """Versions, parameters, kernels, codes of few digits."""
    assert not looks_identifying(text)


@given(st.text(alphabet="0aM./-^@ [", max_size=400))
def test_it_answers_for_any_text(text: str) -> None:
    """What holds such a shape is told whatever stands around it."""
    assert looks_identifying(f"{text} 078-05-1120 {text}")
