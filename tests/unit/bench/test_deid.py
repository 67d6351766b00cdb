"""What bench/deid compares: our headers with the fastest of the others, by processor time."""

from bench.deid import AT_LEAST, Figure, goals, ratios_of

TOOLS = {
    "dicognito": Figure(100, 8.0),
    "dicom-anonymizer": Figure(90, 10.0),
    "deid": Figure(20, 40.0),
    "headers": Figure(900, 0.5),
    "second look": Figure(300, 3.0),
    "with pixels": Figure(2, 500.0, 0.9),
    "orthanc": Figure(200, 2.0),
}


def test_ratios_are_processor_time_of_the_fastest_peer_by_ours() -> None:
    assert ratios_of({"CT": TOOLS}) == {"python_best": 16.0, "orthanc": 4.0}


def test_a_goal_that_was_not_measured_is_not_reached() -> None:
    alone = {name: figure for name, figure in TOOLS.items() if name != "orthanc"}
    assert goals(ratios_of({"MR": alone})) == {"python_best at least 10": True, "orthanc at least 1": False}


def test_each_goal_can_be_missed() -> None:
    for name, least in AT_LEAST.items():
        reached = {**AT_LEAST, name: least - 0.01}
        assert list(goals(reached).values()).count(False) == 1
