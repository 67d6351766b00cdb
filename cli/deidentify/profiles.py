"""The profile of ``--profile``: a YAML file with a name, options of PS3.15 annex E.3, and the legal basis."""

from pathlib import Path
from typing import Any

import yaml

from services.deid.domain.options import Option
from services.deid.domain.profile import LegalBasis, Profile

_KEYS = {"name", "version", "options", "legal_basis"}


class BadProfile(Exception):
    """The text says what is wrong with the file."""


def load_profile(path: Path) -> Profile:
    """Read a profile; BadProfile when it is none."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise BadProfile(f"{path} cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadProfile(f"{path} is no YAML") from None
    if not isinstance(document, dict) or not document.get("name"):
        raise BadProfile(f"{path} has no name: a profile has name, options and legal_basis")
    if unknown := sorted(map(str, document.keys() - _KEYS)):
        raise BadProfile(f"{path}: unknown: {', '.join(unknown)}")
    return _profile(path, document)


def _profile(path: Path, document: dict[str, Any]) -> Profile:
    try:
        return Profile(
            name=str(document["name"]),
            version=str(document.get("version", "1")),
            options=frozenset(Option(each) for each in document.get("options") or ()),
            legal_basis=LegalBasis(document.get("legal_basis", LegalBasis.PSEUDONYMISED)),
        )
    except (ValueError, TypeError) as error:
        raise BadProfile(f"{path}: {error}") from None
