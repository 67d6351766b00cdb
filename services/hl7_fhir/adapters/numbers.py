"""Which order a message means: by the filler's number, else by the placer's, never by a guess."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, insert, select

from services.hl7_fhir.adapters.tables import order_numbers
from services.hl7_fhir.domain.mapping.identity import Identity

_PLACER, _FILLER, _ACCESSION = "PLAC", "FILL", "ACSN"

Named = tuple[str, Identity]

_WANTED = select(order_numbers).where(
    order_numbers.c.kind.in_(bindparam("kinds", expanding=True)),
    order_numbers.c.issuer.in_(bindparam("issuers", expanding=True)),
    order_numbers.c.value.in_(bindparam("numbers", expanding=True)),
)
_INSERT = insert(order_numbers)


class Numbers:
    """The numbers of orders, those that a message holds read together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[Named, str | None] = {}

    def fetch(self, placer: Identity | None, filler: Identity | None, accession: Identity | None) -> None:
        """Read what these numbers mean, in one statement."""
        self._read(_named(placer, filler, accession))

    def find(self, placer: Identity | None, filler: Identity | None, accession: Identity | None) -> str | None:
        """The id of the order that these numbers mean, None when it is new.

        A filler's number is decisive. A placer's number finds an order unless both have filler's numbers that differ:
        one placer's order may become several of the filler's. The accession number counts only when there is no other.
        """
        self.fetch(placer, filler, accession)
        if filler and (found := self._known[_FILLER, filler]):
            return found
        if placer and (found := self._known[_PLACER, placer]):
            return None if filler and self._has_filler(found) else found
        if accession and not filler and not placer:
            return self._known[_ACCESSION, accession]
        return None

    def remember(
        self, order_id: str, placer: Identity | None, filler: Identity | None, accession: Identity | None
    ) -> None:
        """Let these numbers find the order from now on, as far as they do not find another one."""
        named = _named(placer, filler, None if placer or filler else accession)
        self._read(named)
        new = [name for name in named if not self._known[name]]
        if new:
            rows = [
                {"kind": kind, "issuer": number.issuer, "value": number.value, "id": order_id} for kind, number in new
            ]
            self._connection.execute(_INSERT, rows)
            self._known |= dict.fromkeys(new, order_id)

    def _read(self, named: Iterable[Named]) -> None:
        missing = [name for name in named if name not in self._known]
        if not missing:
            return
        self._known |= dict.fromkeys(missing)
        asked = {
            "kinds": sorted({kind for kind, _ in missing}),
            "issuers": sorted({number.issuer for _, number in missing}),
            "numbers": sorted({number.value for _, number in missing}),
        }
        for row in self._connection.execute(_WANTED, asked):
            name = (row.kind, Identity(row.issuer, row.value))
            if name in self._known:
                self._known[name] = row.id

    def _has_filler(self, order_id: str) -> bool:
        table = order_numbers.c
        wanted = select(table.id).where(table.id == order_id, table.kind == _FILLER)
        return self._connection.execute(wanted).first() is not None


def _named(placer: Identity | None, filler: Identity | None, accession: Identity | None) -> list[Named]:
    pairs = ((_FILLER, filler), (_PLACER, placer), (_ACCESSION, accession))
    return [(kind, number) for kind, number in pairs if number]
