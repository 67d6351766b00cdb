"""What bench/deid compares: our headers with the fastest of the others, by processor time."""

from bench.deid import AT_LEAST, AT_MOST, DETECTION, PIXELS, Figure, goals, ratios_of

TOOLS = {
    "dicognito": Figure(100, 8.0),
    "dicom-anonymizer": Figure(90, 10.0),
    "deid": Figure(20, 40.0),
    "headers": Figure(900, 0.5),
    "second look": Figure(300, 3.0),
    "with pixels": Figure(2, 500.0, 0.9),
    "orthanc": Figure(200, 2.0),
}


REACHED = {**AT_LEAST, DETECTION: AT_MOST}


def test_ratios_are_processor_time_of_the_fastest_peer_by_ours() -> None:
    assert ratios_of({"CT": TOOLS}, {}) == {"python_best": 16.0, "orthanc": 4.0}


def test_what_pixels_cost_is_told_of_ultrasound() -> None:
    assert ratios_of({"US": TOOLS}, {})[PIXELS] == 0.5


def test_what_looking_for_text_costs_is_told_beside_rapidocr() -> None:
    ratios = ratios_of({"CT": TOOLS}, {"causeway": 0.25, "rapidocr": 0.5})
    assert (ratios[DETECTION], ratios["rapidocr"]) == (0.25, 2.0)


def test_a_goal_that_was_not_measured_is_not_reached() -> None:
    alone = {name: figure for name, figure in TOOLS.items() if name != "orthanc"}
    assert list(goals(ratios_of({"MR": alone}, {})).values()) == [True, False, False]


def test_each_goal_can_be_missed() -> None:
    assert all(goals(REACHED).values())
    for name, least in AT_LEAST.items():
        assert list(goals({**REACHED, name: least - 0.01}).values()).count(False) == 1
    assert list(goals({**REACHED, DETECTION: AT_MOST + 0.01}).values()).count(False) == 1
