"""What is said of a copy."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import CopyKey
from services.catalog.domain.copies import Told, state_of
from services.tier_routing.domain.observed import Observed

MOMENTS = st.none() | st.integers(1, 4).map(float)


@given(written=MOMENTS, proven=MOMENTS, damaged=MOMENTS)
def test_a_copy_counts_as_proven_exactly_when_it_does_so_in_the_ledger(
    written: float | None, proven: float | None, damaged: float | None
) -> None:
    key = CopyKey(
        sealed_id="s", pack_id="p", form="identified", target="t", tier="hot", key_domain="d", generation=1, keys=("k",)
    )
    moments = {
        name: None if at is None else datetime.fromtimestamp(at, UTC)
        for name, at in (("written", written), ("proven", proven), ("damaged", damaged))
    }
    ledger, told = Observed(key=key, **moments), Told(written=written, proven=proven, damaged=damaged)
    assert (state_of(told) == "proven") is ledger.is_proven
    assert (state_of(told) == "damaged") is ledger.is_damaged
    assert state_of(replace(told, removed=0.5)) == "removed"
