"""Options that many commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.site import DEFAULT_DATA, Site

_HELP = "Folder of the site (default: $CAUSEWAY_DATA, else .causeway)."

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=_HELP, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def site_of(data: Path | None) -> Site:
    """The site of ``--data``, of ``CAUSEWAY_DATA``, or of the working folder."""
    return Site(data or Path(os.environ.get("CAUSEWAY_DATA") or DEFAULT_DATA))
