"""What is late is told once and started again, ever more rarely, and never for a target that is merely away."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.tier_routing.domain.ledger import PackView, Wanted, evaluate
from services.tier_routing.domain.overdue import Standing, Step, interval, is_away, next_look, next_step
from tests.unit.tier_routing.makers import NOON, at, copy, due, failed, key, policy, verified
from tests.unit.tier_routing.test_ledger import heard

LIMITS = policy().overdue  # secured 1 m, archived 2 m, repeat 1 m, longest 10 m
WAITING = Standing(since=NOON, secured=False)
WANTED = (Wanted(copy("onsite")), Wanted(copy("cloud-a")))


def verdict(*events):
    return evaluate(PackView("pack", WANTED, ("onsite",), heard(*events)))


def test_what_is_in_time_is_left_alone():
    assert next_step(WAITING, verdict(), LIMITS, (), at(59)) is None


def test_what_is_late_is_told_and_started_again():
    assert next_step(WAITING, verdict(), LIMITS, (), at(60)) == Step(restart=(due("onsite"), due("cloud-a")), tell=True)


def test_what_is_secured_has_more_time():
    secured = replace(WAITING, secured=True)
    late = verdict(verified(key("onsite")))
    assert next_step(secured, late, LIMITS, (), at(119)) is None
    assert next_step(secured, late, LIMITS, (), at(120)) == Step(restart=(due("cloud-a"),), tell=True)


def test_what_is_settled_is_never_started_again():
    assert next_step(WAITING, verdict(verified(key("onsite")), verified(key("cloud-a"))), LIMITS, (), at(1e6)) is None


@pytest.mark.parametrize(("run", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (500, 10)])
def test_the_interval_doubles_up_to_the_longest(run: int, minutes: int):
    assert interval(run, LIMITS) == timedelta(minutes=minutes)


def test_a_start_is_left_its_time_to_work():
    started = replace(WAITING, run=2, restarted=at(100), told=2)
    assert next_step(started, verdict(), LIMITS, (), at(219)) is None
    assert next_step(started, verdict(), LIMITS, (), at(220)) is not None


def test_a_target_that_is_merely_away_is_told_once_and_not_started_again():
    away = verdict(verified(key("onsite")), failed(key("cloud-a"), retrying=True))
    assert next_step(WAITING, away, LIMITS, {"cloud-a"}, at(60)) == Step(restart=(), tell=True)
    assert next_step(replace(WAITING, told=0), away, LIMITS, {"cloud-a"}, at(1e6)) is None


def test_a_dead_target_does_not_keep_the_others_from_being_started_again():
    away = verdict(failed(key("cloud-a"), retrying=True))
    assert next_step(WAITING, away, LIMITS, {"cloud-a"}, at(60)) == Step(restart=(due("onsite"),), tell=True)


@pytest.mark.parametrize(
    ("failed_at", "taken_at", "away"),
    [(None, None, False), (None, 1, False), (5, None, True), (5, 1, True), (5, 6, False)],
)
def test_a_target_is_away_from_its_last_failure_until_it_takes_a_copy(failed_at, taken_at, away: bool):
    assert is_away(*(None if when is None else at(when) for when in (failed_at, taken_at))) is away


@pytest.mark.parametrize(
    ("standing", "seconds", "look"),
    [
        (WAITING, 0, 60),
        (replace(WAITING, secured=True), 60, 120),
        (replace(WAITING, run=3, restarted=at(100)), 100, 340),
        (replace(WAITING, told=0), 500, 560),
    ],
)
def test_a_late_pack_is_looked_at_when_there_may_be_something_to_do(standing, seconds: float, look: float):
    assert next_look(standing, LIMITS, at(seconds)) == at(look)


def test_a_target_that_refuses_is_asked_again():
    refused = verdict(verified(key("onsite")), failed(key("cloud-a")))
    assert next_step(WAITING, refused, LIMITS, (), at(60)) == Step(restart=(due("cloud-a"),), tell=True)
