"""Which requests a series answers: the keys of its Request Attributes Sequence (PS3.18 table 10.6.1-5), no more."""

from collections.abc import Iterable
from typing import Any

from services.catalog.domain.attributes import KEYS, REQUEST
from services.catalog.domain.dicom_json import Attributes, element, first, items

#: More items of one header are not kept: the sequence is as long as a sender makes it.
MOST = 16

_KEYS = tuple(key for key in KEYS if key.sequence == REQUEST)

Request = dict[str, str | None]


def requests_of(header: Attributes) -> list[Request]:
    """The keys of each item that has any, by their columns in the index."""
    found = ({key.column: first(item, key.tag) for key in _KEYS} for item in items(header, REQUEST[0]))
    return [one for one in found if any(one.values())][:MOST]


def sequence_of(requests: Iterable[Request]) -> dict[str, Any]:
    """The sequence of these requests as DICOM JSON; nothing when there is none."""
    listed = [{key.tag: element(key.vr, one[key.column]) for key in _KEYS} for one in requests]
    return {REQUEST[0]: element("SQ", *listed)} if listed else {}
