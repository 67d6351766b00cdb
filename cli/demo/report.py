"""The demonstration's table: every object, where it is proven, what is withheld and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.output import table

_WITHHELD = "withheld: "


@dataclass(frozen=True)
class Row:
    """One version of one object; ``places`` by target and form."""

    study: str
    sop_instance_uid: str
    syntax: str
    places: tuple[tuple[str, str], ...]

    @property
    def settled(self) -> bool:
        """Whether each place is proven, or withheld with a reason."""
        return bool(self.places) and all(told.startswith(("proven", _WITHHELD)) for _, told in self.places)


def rows_of(documents: Iterable[dict[str, Any]], planned: Iterable[tuple[str, str]]) -> list[Row]:
    """A row per version of each document of ``where``; ``planned`` are the (target, form) that policy demands."""
    planned = tuple(planned)
    return [
        Row(
            study=str(version.get("study_uid") or "–"),
            sop_instance_uid=document["sop_instance_uid"],
            syntax=version["transfer_syntax"],
            places=tuple((_column(*place), _told(version, *place)) for place in planned),
        )
        for document in documents
        for version in document["versions"]
    ]


def _column(target: str, form: str) -> str:
    return target if form == "identified" else f"{target} de-identified"


def _told(version: dict[str, Any], target: str, form: str) -> str:
    copies = [copy for copy in version["copies"] if (copy["target"], copy["form"]) == (target, form)]
    proven = [copy for copy in copies if copy["state"] == "proven"]
    if proven:
        return f"proven {max(copy['proven'] for copy in proven)[11:19]}"
    if form == "deidentified" and version["withheld"]:
        return _WITHHELD + ", ".join(sorted({held["reason"] for held in version["withheld"]}))
    return "NOT PROVEN"


def show(rows: list[Row]) -> None:
    """Print the table; neighbours of one study to which the same happened share a line that says how many they are."""
    columns = [name for name, _ in rows[0].places] if rows else []
    lines: list[tuple[str, ...]] = []
    group: list[Row] = []
    for row in [*rows, None]:
        if group and (row is None or _outcome(row) != _outcome(group[0])):
            lines.append(_line(group))
            group = []
        if row is not None:
            group.append(row)
    table("What is proven where, object by object", ("objects", "SOP Instance UID (of the first)", *columns), lines)


def _outcome(row: Row) -> tuple[object, ...]:
    return (row.study, tuple(told.partition(" ")[0] + told.partition(": ")[2] for _, told in row.places))


def _line(group: list[Row]) -> tuple[str, ...]:
    return (str(len(group)), group[0].sop_instance_uid, *(told for _, told in group[-1].places))
