"""A follower that is new hears of what was here before it, and nobody who writes has to wait long for that."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, true

from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.telling_all import TellingAll
from tests.integration.hl7_fhir.test_steps import order_number
from tests.support.worklist import KEY, SITE, worklist

#: As many as messages are mapped in one transaction (``handlers/mapping.py``).
MOST = 16


class Slow:
    """Hears of every order in no time, or in so many seconds; ``heard`` counts them by transaction."""

    def __init__(self, takes: float = 0.0) -> None:
        self._takes = takes
        self.heard = Counter[object]()

    def strangers(self) -> Mapping[str, ColumnElement[bool]]:
        """All orders."""
        return {"ServiceRequest": true()}

    def patient_found(self, connection: Connection, patient: PatientNow) -> None:
        """Nothing."""

    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        """Count it."""
        self.heard[connection.get_transaction()] += 1
        time.sleep(self._takes)


async def test_those_who_write_wait_for_a_few_orders_only_and_have_half_of_the_time(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", scheduled_steps=False) as desk:
        await desk.send(*(order_number(number) for number in range(2 * MOST + 1)))
        newcomer, began = Slow(0.01), time.monotonic()
        await TellingAll(desk.database, newcomer, SITE, KEY).run()
        assert sorted(newcomer.heard.values()) == [1, MOST, MOST]
        assert time.monotonic() - began >= 2 * 0.01 * newcomer.heard.total()
