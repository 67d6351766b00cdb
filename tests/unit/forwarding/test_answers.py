"""What a destination's answer means."""

import json

import pytest

from services.forwarding.domain.answers import (
    DELIVERED,
    BrokenOff,
    DestinationAway,
    Outcome,
    failed,
    is_uid,
    of_c_store,
    of_context,
    of_stow,
    stow_reasons,
)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, DELIVERED),
        (0xB000, Outcome(is_delivered=True, reason="status-b000")),
        (0xB007, Outcome(is_delivered=True, reason="status-b007")),
        (0xA900, failed("status-a900")),
        (0xC123, failed("status-c123")),
        (0x0122, failed("status-0122")),
    ],
)
def test_a_status_is_a_delivery_a_warning_or_a_failure(status: int, outcome: Outcome) -> None:
    assert of_c_store(status) == outcome


@pytest.mark.parametrize("status", [0xA700, 0xA7FF])
def test_a_destination_without_resources_is_waited_for(status: int) -> None:
    with pytest.raises(DestinationAway, match="out-of-resources"):
        of_c_store(status)


def test_a_processing_failure_may_be_one_of_the_moment() -> None:
    """A database of the destination's that is away makes every instance fail."""
    with pytest.raises(BrokenOff, match="status-0110"):
        of_c_store(0x0110)


def test_a_refused_context_says_which_half_was_refused() -> None:
    reasons = [of_context(result).reason for result in (1, 2, 3, 4)]
    assert reasons == ["context-refused", "context-refused", "sop-class-refused", "transfer-syntax-refused"]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 503, 507])
def test_an_http_status_of_the_service_is_waited_for(status: int) -> None:
    with pytest.raises(DestinationAway, match=f"http-{status}"):
        of_stow(status, b"")


@pytest.mark.parametrize("status", [400, 409, 413, 415])
def test_an_http_status_of_the_request_fails_it(status: int) -> None:
    assert of_stow(status, b"") == failed(f"http-{status}")


def test_an_error_of_the_service_may_be_the_fault_of_the_instance() -> None:
    with pytest.raises(BrokenOff, match="http-500"):
        of_stow(500, b"")


def told(sequence: str, attribute: str, reason: int) -> bytes:
    """An answer about one instance with a reason."""
    return json.dumps({sequence: {"vr": "SQ", "Value": [{attribute: {"vr": "US", "Value": [reason]}}]}}).encode()


def test_reasons_go_before_the_http_status() -> None:
    assert of_stow(202, told("00081198", "00081197", 0xC000)) == failed("status-c000")
    assert of_stow(200, told("00081199", "00081196", 0xB000)) == Outcome(is_delivered=True, reason="status-b000")
    with pytest.raises(BrokenOff, match="status-0110"):
        of_stow(200, told("00081198", "00080000", 1))
    with pytest.raises(DestinationAway):
        of_stow(409, told("00081198", "00081197", 0xA700))


@pytest.mark.parametrize("text", [b"", b"<NativeDicomModel/>", b"[]"])
def test_a_202_that_nobody_can_read_is_no_delivery(text: bytes) -> None:
    """It may say that the instance was not stored; a 200 never does (PS3.18 table 10.5.3-1)."""
    with pytest.raises(BrokenOff, match="answer-unreadable"):
        of_stow(202, text)
    assert of_stow(200, text) == DELIVERED


def test_reasons_are_found_in_a_response() -> None:
    assert stow_reasons(told("00081198", "00081197", 0xB000)) == (0xB000, None)
    assert stow_reasons(told("00081199", "00081196", 0xB000)) == (None, 0xB000)
    assert stow_reasons(told("00081198", "00080000", 0xB000)) == (0, None)


@pytest.mark.parametrize("text", [b'{"00081198": 3}', b'{"00081198": {"Value": [3]}}'])
def test_a_response_of_any_other_shape_gives_no_reason(text: bytes) -> None:
    assert stow_reasons(text) == (None, None)


def test_only_what_can_be_negotiated_is_a_uid() -> None:
    assert is_uid("1.2.840") and is_uid("2.25.01")
    assert not any(map(is_uid, ("", "1.2." + "3" * 61, "a.b", "1.2 ")))
