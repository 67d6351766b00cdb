"""CDA documents: no attribute carries words or numbers that its vocabulary does not have."""

import pytest

from services.deid.domain.content.cda import clean_cda

#: Who is nobody's that the header of an object knows.
OTHER = "Zwetschkenbaum"


def without_names(text: str) -> str:
    """As a list of harmless words would clean it."""
    return " ".join(word for word in text.split() if word in ("nodule", "of", "lung"))


def cleaned(body: str) -> str:
    """What becomes of a section with this in it."""
    document = f"""<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <component><structuredBody><component><section>{body}</section></component></structuredBody></component>
    </ClinicalDocument>"""
    out = clean_cda(document.encode(), without_names).decode()
    return out.partition("<section>")[2].partition("</section>")[0]


@pytest.mark.parametrize("name", ["classCode", "moodCode", "typeCode", "nullFlavor", "negationInd", "listType", "unit"])
@pytest.mark.parametrize("value", [OTHER, OTHER.upper(), "JOHN", "MRN4711938", "4711938"])
def test_words_that_the_vocabulary_does_not_have_go(name: str, value: str) -> None:
    out = cleaned(f'<entry><observation {name}="{value}"/></entry>')
    assert out == "<entry><observation></observation></entry>"


@pytest.mark.parametrize(
    "said",
    ['classCode="OBS" moodCode="EVN"', 'typeCode="COMP"', 'nullFlavor="UNK"', 'negationInd="true"', 'unit="mm"'],
)
def test_words_of_the_vocabulary_stay(said: str) -> None:
    assert cleaned(f"<entry><observation {said}/></entry>") == f"<entry><observation {said}></observation></entry>"


@pytest.mark.parametrize("name", ["ID", "styleCode", "displayName", "extension", "root", "representation", "xml:lang"])
def test_attributes_that_nobody_named_go(name: str) -> None:
    out = cleaned(f'<text><paragraph {name}="{OTHER}">nodule of {OTHER}</paragraph></text>')
    assert out == "<text><paragraph>nodule of</paragraph></text>"


@pytest.mark.parametrize(
    "local", ["id", "telecom", "addr", "effectiveTime", "time", "author", "participant", "subject"]
)
def test_elements_about_people_and_times_go(local: str) -> None:
    inside = f'<{local} value="20240310" extension="4711938">{OTHER}</{local}><name>{OTHER}</name>'
    out = cleaned(f"<entry><observation>{inside}</observation></entry>")
    assert out == "<entry><observation><name></name></observation></entry>"


@pytest.mark.parametrize(
    ("system", "code", "stays"),
    [
        ("2.16.840.1.113883.6.96", "51185008", True),
        ("2.16.840.1.113883.6.96", "4711938", False),
        ("2.16.840.1.113883.6.1", "18748-4", True),
        ("2.16.840.1.113883.6.1", OTHER, False),
        ("1.2.840.10008.2.16.4", "121071", True),
        ("1.2.840.10008.2.16.4", "ZWETSCHKE", False),
        ("2.16.840.1.113883.5.83", "HX", True),
        ("2.16.840.1.113883.5.83", OTHER, False),
        ("1.2.3", "HX", False),
    ],
)
def test_a_code_is_one_of_its_system(system: str, code: str, stays: bool) -> None:
    """By its looks and its check digit (codes.py)."""
    out = cleaned(f'<entry><act><code code="{code}" codeSystem="{system}"/></act></entry>')
    assert (f'code="{code}"' in out) is stays
    assert (system in out) is stays


def observed(code: str, value: str) -> str:
    """An observation of a LOINC code."""
    coded = f'<code code="{code}" codeSystem="2.16.840.1.113883.6.1"/>'
    return cleaned(f"<entry><observation>{coded}{value}</observation></entry>")


@pytest.mark.parametrize("value", ['<value xsi:type="TS" value="1961"/>', '<value value="1961"/>',
                                   '<value xsi:type="II" value="47119"/>',
                                   '<value xsi:type="IVL_TS"><low value="1961"/></value>'])  # fmt: skip
def test_only_measured_numbers_stay(value: str) -> None:
    """The year of a time and the number of a person are none."""
    assert "1961" not in observed("8867-4", value) and "47119" not in observed("8867-4", value)
    assert 'value="71"' in observed("8867-4", '<value xsi:type="PQ" value="71" unit="/min"/>')
    assert '<low value="71">' in observed("8867-4", '<value xsi:type="IVL_PQ"><low value="71"/></value>')


def test_old_ages_and_what_says_who_the_patient_is_go() -> None:
    """Under the codes of tables/patient_concepts.yaml; and a number of years that only a life has, under any."""
    assert "45" not in observed("30525-0", '<value xsi:type="PQ" value="45" unit="a"/>').replace("30525", "")
    assert "F" not in observed("46098-0", '<value xsi:type="CD" code="F" codeSystem="2.16.840.1.113883.5.1"/>')
    assert 'value="93"' not in observed("8867-4", '<value xsi:type="PQ" value="93" unit="a"/>')
    assert 'value="45"' in observed("8867-4", '<value xsi:type="PQ" value="45" unit="a"/>')
