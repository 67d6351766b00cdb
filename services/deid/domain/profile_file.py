"""Reads a profile; refuses one that is wrong or contradicts itself, with every problem by its line."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from services.deid.domain.contradictions import contradictions
from services.deid.domain.dataset import VRS
from services.deid.domain.dictionary import known_vr
from services.deid.domain.keywords import keywords, shown, tag_of
from services.deid.domain.options import Option
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.profile import OLDEST_AGE, Dates, LegalBasis, Profile, SiteRule, Wish
from services.deid.domain.replacing import REPLACEABLE, problem_of
from services.deid.domain.rules import Rules, standard_rules
from shared.yaml_lines import DocumentRefused, LineReader, MappingNode, Node, ScalarNode, compose

_KEYS = (
    "format", "name", "version", "legal_basis", "options", "dates", "oldest_age", "attributes", "safe_private", "hold",
    "pictures",
)  # fmt: skip
_FORMAT = "causeway.profile/1"
_ELEMENT = re.compile(r"\(?([0-9A-Fa-f]{4}),(?:xx|XX)?([0-9A-Fa-f]{2})\)?")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,15}")

Chosen = TypeVar("Chosen", bound=StrEnum)


def read_profile(text: str, source: str = "profile.yaml", rules: Rules | None = None) -> Profile:
    """The profile in ``text``; DocumentRefused lists every problem by line."""
    reader = _ProfileReader(rules or standard_rules())
    profile = reader.profile(compose(text, source))
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return profile


class _ProfileReader(LineReader):
    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._rules = rules

    def profile(self, root: Node) -> Profile:
        keys = self.mapping(root, "the profile", _KEYS, required=("format", "name", "version", "legal_basis"))
        if "format" in keys and self.text(keys["format"], "'format'") != _FORMAT:
            self.refuse(keys["format"], f"'format' must be {_FORMAT}")
        options = self._options(keys.get("options"))
        attributes = self._attributes(keys.get("attributes"))
        classes, faces = self._hold(keys.get("hold"))
        profile = Profile(
            name=self._name(keys["name"]) if "name" in keys else "?",
            version=self._version(keys["version"]) if "version" in keys else "?",
            options=frozenset(options),
            legal_basis=self._choice(keys.get("legal_basis"), "'legal_basis'", LegalBasis.PSEUDONYMISED),
            dates=self._choice(keys.get("dates"), "'dates'", Dates.REMOVED),
            oldest_age=self.count(keys["oldest_age"], "'oldest_age'") if "oldest_age" in keys else OLDEST_AGE,
            attributes={tag: rule for tag, (rule, _) in attributes.items()},
            private=self._private(keys.get("safe_private")),
            held_classes=classes,
            hold_faces=faces,
            pictures=self._pictures(keys.get("pictures")),
        )
        places: dict[object, Node] = {tag: node for tag, (_, node) in attributes.items()}
        places.update(keys)
        for option, node in options.items():
            places[option] = node
        for found in contradictions(profile, self._rules):
            self.refuse(next((places[at] for at in found.about if at in places), root), found.text)
        return profile

    def _name(self, node: Node) -> str:
        name = self.name(node, "'name'")
        if "anonym" in name.lower():
            self.refuse(node, "no profile may promise that its output is anonymous: say what it is for instead")
        return name

    def _version(self, node: Node) -> str:
        version = self.text(node, "'version'")
        if version and not _VERSION.fullmatch(version):
            self.refuse(node, "'version' may have letters, digits, '.' and '-' only, at most 16")
        return version

    def _choice(self, node: Node | None, what: str, default: Chosen) -> Chosen:
        if node is None:
            return default
        text, kind = self.text(node, what), type(default)
        if text not in list(kind):
            self.refuse(node, f"unknown {what} '{text}'; known: {', '.join(kind)}")
            return default
        return kind(text)

    def _options(self, node: Node | None) -> dict[Option, Node]:
        found: dict[Option, Node] = {}
        for item in node.value if node is not None and not isinstance(node, ScalarNode | MappingNode) else ():
            name = self.text(item, "an option")
            if name not in list(Option):
                near = get_close_matches(name, list(Option), 1)
                hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(Option)}"
                self.refuse(item, f"unknown option '{name}'; {hint}")
            elif Option(name) in found:
                self.refuse(item, f"option '{name}' stands twice")
            else:
                found[Option(name)] = item
        if isinstance(node, ScalarNode | MappingNode):
            self.refuse(node, "'options' must be a list")
        return found

    def _attributes(self, node: Node | None) -> dict[int, tuple[SiteRule, Node]]:
        found: dict[int, tuple[SiteRule, Node]] = {}
        for item in self.sequence(node, "'attributes'") if node is not None else ():
            keys = self.mapping(item, "a rule of 'attributes'", ("attribute", "do", "with"), ("attribute", "do"))
            if "attribute" not in keys or "do" not in keys:
                continue
            tag = self._tag(keys["attribute"])
            wish = self._choice(keys["do"], "'do'", Wish.REMOVE)
            rule = SiteRule(wish, self._replacement(wish, tag, keys, item))
            if tag in found:
                self.refuse(item, f"there are two rules for {shown(tag)}")
            elif tag is not None:
                found[tag] = (rule, item)
        return found

    def _tag(self, node: Node) -> int | None:
        text = self.text(node, "'attribute'")
        tag = tag_of(text)
        if tag is None:
            near = get_close_matches(text, keywords(), 1)
            hint = f"; did you mean '{near[0]}'?" if near else "; give a keyword of PS3.6 or a tag such as (0010,1020)"
            self.refuse(node, f"no attribute is called '{text}'{hint}")
        elif known_vr(tag) is None and not tag >> 16 & 1:
            self.refuse(node, f"{shown(tag)} is no attribute of the standard")
        return tag

    def _replacement(self, wish: Wish, tag: int | None, keys: Mapping[str, Node], item: Node) -> str:
        if (wish is Wish.REPLACE) is not ("with" in keys):
            self.refuse(item, "'with' says what replaces a value: it belongs to 'do: replace', which needs it")
        if "with" not in keys:
            return ""
        text = self.text(keys["with"], "'with'")
        if not text.isascii() or not text.isprintable() or len(text) > 64:
            self.refuse(keys["with"], "'with' may be printable ASCII of at most 64 characters")
        elif text and (vr := known_vr(tag or 0)) in REPLACEABLE and (why := problem_of(text, tag or 0, vr)):
            self.refuse(keys["with"], why)
        return text

    def _private(self, node: Node | None) -> dict[tuple[int, str, int], str]:
        found: dict[tuple[int, str, int], str] = {}
        for item in self.sequence(node, "'safe_private'") if node is not None else ():
            keys = self.mapping(
                item, "an entry of 'safe_private'", ("creator", "element", "vr"), ("creator", "element", "vr")
            )
            if len(keys) < 3:
                continue
            parts = _ELEMENT.fullmatch(self.text(keys["element"], "'element'"))
            if not parts or not int(parts[1], 16) & 1:
                self.refuse(keys["element"], "'element' must be a private group and two digits, such as 0019,xx9E")
                continue
            vr = self.text(keys["vr"], "'vr'")
            if vr not in VRS.values() or vr in ("UN", "PN"):
                self.refuse(keys["vr"], f"'{vr}' is no value representation of a safe element")
            found[int(parts[1], 16), self.text(keys["creator"], "'creator'"), int(parts[2], 16)] = vr
        return found

    def _hold(self, node: Node | None) -> tuple[frozenset[str], bool]:
        keys = self.mapping(node, "'hold'", ("sop_classes", "faces")) if node is not None else {}
        classes = self.texts(keys["sop_classes"], "'sop_classes'") if "sop_classes" in keys else ()
        for uid in classes:
            if not _UID.fullmatch(uid):
                self.refuse(keys["sop_classes"], f"'{uid}' is no SOP Class UID")
        return frozenset(classes), self._yes(keys.get("faces"), "'faces'")

    def _pictures(self, node: Node | None) -> PicturePolicy:
        keys = self.mapping(node, "'pictures'", tuple(PicturePolicy.__annotations__)) if node is not None else {}
        return PicturePolicy(**{key: self._yes(value, f"'{key}'") for key, value in keys.items()})

    def _yes(self, node: Node | None, what: str) -> bool:
        text = self.text(node, what) if node is not None else "false"
        if node is not None and text not in ("true", "false"):
            self.refuse(node, f"{what} must be true or false")
        return text == "true"
