"""Orders in the index, as evidence that a study was expected."""

from sqlalchemy import Connection

from contracts.events import OrderCancelled, OrderChanged, OrderPlaced
from services.catalog.adapters.tables import ordered
from services.catalog.adapters.upsert import upsert


def add_order(connection: Connection, order: OrderPlaced | OrderChanged | OrderCancelled, *, cancelled: bool) -> None:
    """The order as it now stands."""
    row = {
        "order_ref": order.order_ref,
        "accession_token": order.accession_token,
        "study_uid": order.study_uid,
        "cancelled": cancelled,
    }
    upsert(connection, ordered, row, ("order_ref",))
