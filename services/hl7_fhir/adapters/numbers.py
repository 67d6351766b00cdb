"""Which order a message means: by the filler's number, else by the placer's, never by a guess."""

from sqlalchemy import Connection, insert, select

from services.hl7_fhir.adapters.tables import order_numbers
from services.hl7_fhir.domain.identity import Identity
from services.hl7_fhir.domain.order import OrderSaid

_PLACER, _FILLER, _ACCESSION = "PLAC", "FILL", "ACSN"


def find_order(connection: Connection, said: OrderSaid) -> str | None:
    """The id of the order that ``said`` speaks of, None when it is new.

    A filler's number is decisive. A placer's number finds an order unless both have filler's numbers that differ: one
    placer's order may become several of the filler's. The accession number counts only when there is no other.
    """
    if said.filler and (found := _order(connection, _FILLER, said.filler)):
        return found
    if said.placer and (found := _order(connection, _PLACER, said.placer)):
        return None if said.filler and _has_number(connection, found, _FILLER) else found
    if said.accession and not said.filler and not said.placer:
        return _order(connection, _ACCESSION, said.accession)
    return None


def remember_order(connection: Connection, order_id: str, said: OrderSaid) -> None:
    """Let the numbers of ``said`` find the order from now on, as far as they do not find another one."""
    numbers = [(_PLACER, said.placer), (_FILLER, said.filler)]
    if not said.placer and not said.filler:
        numbers.append((_ACCESSION, said.accession))
    for kind, number in numbers:
        if number and not _order(connection, kind, number):
            row = {"kind": kind, "issuer": number.issuer, "value": number.value, "id": order_id}
            connection.execute(insert(order_numbers).values(row))


def _order(connection: Connection, kind: str, number: Identity) -> str | None:
    table = order_numbers.c
    wanted = (table.kind == kind, table.issuer == number.issuer, table.value == number.value)
    return connection.execute(select(table.id).where(*wanted)).scalar_one_or_none()


def _has_number(connection: Connection, order_id: str, kind: str) -> bool:
    table = order_numbers.c
    return connection.execute(select(table.id).where(table.id == order_id, table.kind == kind)).first() is not None
