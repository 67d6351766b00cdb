"""The page of the maps lists every row."""

from cli.conformance.hl7_maps import PATH, page
from cli.describe import ROOT
from services.hl7_fhir.domain.mapping.shipped import shipped


def test_the_page_of_the_maps_is_up_to_date() -> None:
    assert (ROOT / PATH).read_text() == page(), "run `make flow`"


def test_every_row_is_on_the_page() -> None:
    text = page()
    for each in shipped().segments:
        assert f"### {each.name}" in text
        for row in each.rows:
            assert f"`{row.element}`" in text
