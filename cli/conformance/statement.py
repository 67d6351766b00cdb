"""``docs/conformance/dicom.md`` with its generated parts made anew.

Each stands between ``<!-- generated NAME: make flow -->`` and ``<!-- end of generated -->``; the rest is written by
people. A name that no part has, and a part that no document has, are errors: nobody loses a table by a typing error.
"""

import re
from collections.abc import Callable
from pathlib import Path

from cli.conformance import entities, receiving, security, sending, settings, steps, web

PATH = Path("docs") / "conformance" / "dicom.md"
BEGIN, END = "<!-- generated {}: make flow -->", "<!-- end of generated -->"
_PART = re.compile(r"<!-- generated ([a-z-]+): make flow -->\n.*?<!-- end of generated -->", re.DOTALL)

#: What makes each part, as Markdown.
PARTS: dict[str, Callable[[], str]] = {
    **receiving.PARTS,
    **entities.PARTS,
    **sending.PARTS,
    **steps.PARTS,
    **web.PARTS,
    **security.PARTS,
    **settings.PARTS,
}


def statement(text: str) -> str:
    """``text`` with every generated part as the code is now; ValueError when its parts are not those of ``PARTS``."""
    named = _PART.findall(text)
    if sorted(named) != sorted(PARTS):
        raise ValueError(f"{PATH} has other generated parts than there are: {sorted({*named} ^ {*PARTS})}")
    return _PART.sub(lambda found: f"{BEGIN.format(found[1])}\n\n{PARTS[found[1]]().strip()}\n\n{END}", text)
