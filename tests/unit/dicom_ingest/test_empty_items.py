"""Runs of empty items are counted to the last one and no further."""

import struct

import pytest

from services.dicom_ingest.domain.empty_items import EMPTY_ITEMS

FULL = {order: struct.pack(order + "HHI", 0xFFFE, 0xE000, 2) for order in "<>"}
EMPTY = {order: struct.pack(order + "HHI", 0xFFFE, 0xE000, 0) for order in "<>"}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 8, 100, 8191, 8192, 8193, 40_000])
@pytest.mark.parametrize("tail", [b"", EMPTY["<"][:5], EMPTY[">"][:5], FULL["<"] + b"ab", FULL[">"] + b"ab"])
def test_all_of_them_are_counted(order: str, number: int, tail: bytes) -> None:
    data = b"head" + EMPTY[order] * number + tail
    assert EMPTY_ITEMS[order].count(data, 4, 10**6) == number
    assert EMPTY_ITEMS[order].count(memoryview(data), 4, 10**6) == number


@pytest.mark.parametrize("most", [0, 1, 5, 8192, 9999, 10_000, 10_001])
def test_no_more_than_is_asked_for(most: int) -> None:
    assert EMPTY_ITEMS["<"].count(EMPTY["<"] * 10_000, 0, most) == min(most, 10_000)


def test_those_of_the_other_byte_order_are_none() -> None:
    assert EMPTY_ITEMS["<"].count(EMPTY[">"] * 3, 0, 3) == 0
