"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; what would end a cell is escaped."""
    lines = [_line(columns), f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *map(_line, rows)])


def code(text: object) -> str:
    """Text as code, and nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def hexadecimal(status: int) -> str:
    """A DICOM status or reason: four digits and an H."""
    return f"{status:04X}H"


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
