"""Along which condition a search goes, and what is then left to look at."""

from datetime import UTC, datetime

import pytest

from services.hl7_fhir.adapters.planning import ALL, NUMBER, UPDATED, planned
from services.hl7_fhir.domain.fhir.parameters import parameters
from services.hl7_fhir.domain.fhir.search import read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = parameters("ImagingStudy")["started"].number


def along(driver: int, *query: tuple[str, str]):
    asked = read("ImagingStudy", query, NOW)
    return planned(asked.kind, asked.conditions, asked.sort, driver)


@pytest.mark.parametrize("name", ["started", "_lastUpdated"])
def test_both_ends_of_a_window_bound_the_way_through_it(name: str) -> None:
    plan = along(0, (name, "ge2026-01-01"), (name, "lt2026-02-01"), ("modality", "CT"))
    assert len(plan.filters) == 1
    for stream in plan.streams:
        bounds = " ".join(str(each.compile(compile_kwargs={"literal_binds": True})) for each in stream.where)
        assert "1769904000000" in bounds or "2026-02-01" in bounds
        assert "1767225600000" in bounds or "2026-01-01" in bounds


def test_the_order_is_that_of_the_index_unless_another_is_asked_for() -> None:
    assert along(0, ("modality", "CT")).order == NUMBER
    assert along(0, ("started", "2026")).order == STARTED
    assert along(ALL).order == UPDATED
    plan = along(0, ("modality", "CT"), ("_sort", "started"))
    assert (plan.order, plan.descending, plan.natural) == (STARTED, False, False)
    assert along(ALL, ("modality", "CT"), ("_sort", "-started")).natural
    assert along(0, ("started", "2026"), ("_sort", "started")).natural


def test_few_alternatives_have_streams_of_their_own_and_many_are_sorted() -> None:
    few, many = ",".join("abc"), ",".join(f"c{each}" for each in range(50))
    assert len(along(0, ("modality", few)).streams) == 3
    plan = along(0, ("modality", many))
    assert (len(plan.streams), plan.natural) == (1, False)
