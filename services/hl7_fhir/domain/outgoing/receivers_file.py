"""Reads receivers.yaml; refuses one that is wrong, with every problem by its line (examples/receivers.yaml)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.hl7_fhir.domain.messages import charset
from services.hl7_fhir.domain.messages.refusal import FieldInvalid
from services.hl7_fhir.domain.outgoing.receivers import FORMS, Match, Own, Receiver, Tls
from shared.yaml_lines import DocumentRefused, LineReader, Node, ScalarNode, compose

_FORMAT = "causeway.receivers/1"
_NAMES = ("application", "facility", "receiving_application", "receiving_facility")
_OCCASIONS: Mapping[str, tuple[str, ...]] = {
    "status": ("orm", "omg", "oru"),
    "study_available": ("oru", "orm", "omi"),
    "study_uid": ("orm", "omi"),
}
_CONNECTION = (
    "name",
    "host",
    "port",
    "tls",
    "connect_timeout",
    "answer_timeout",
    "retry",
    "tries",
    "keep_open",
    "held",
)
_KEYS = (*_CONNECTION, "pass_on", "refused", *_OCCASIONS, "version", "charset", "unmappable", *_NAMES)
_MOST_NAMED = 180
#: Components of the data type HD, which MSH-3 to -6 have (chapter 2A).
_MOST_PARTS = 3


def read_receivers(text: str, source: str = "receivers.yaml") -> Mapping[str, Receiver]:
    """The receivers by name, in the order of the file; DocumentRefused lists every problem by line."""
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return MappingProxyType({})
    reader = _ReceiversReader()
    found = reader.receivers(compose(text, source))
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return MappingProxyType(found)


class _ReceiversReader(LineReader):
    def receivers(self, root: Node) -> dict[str, Receiver]:
        keys = self.mapping(root, "the document", ("format", "receivers"), required=("format", "receivers"))
        if "format" in keys and self.text(keys["format"], "'format'") != _FORMAT:
            self.refuse(keys["format"], f"'format' must be {_FORMAT}")
        found: dict[str, Receiver] = {}
        for node in self._listed(keys.get("receivers")):
            receiver = self._receiver(node)
            if receiver.name in found:
                self.refuse(node, f"'{receiver.name}' stands twice in 'receivers'")
            found[receiver.name] = receiver
        return found

    def _listed(self, node: Node | None) -> list[Node]:
        """The receivers; ``[]`` says that there are none."""
        if node is None or (not isinstance(node, ScalarNode) and node.value == []):
            return []
        return self.sequence(node, "'receivers'")

    def _receiver(self, node: Node) -> Receiver:
        keys = self.mapping(node, "a receiver", _KEYS, required=("name", "host", "port"))
        own = self._own(node, keys)
        readers: dict[str, Callable[[Node], Any]] = {
            "name": lambda each: self.name(each, "'name'"),
            "host": lambda each: self.text(each, "'host'"),
            "port": self._port,
            "tls": self._tls,
            "refused": lambda each: self._truth(each, "'refused'"),
            "connect_timeout": lambda each: self.duration(each, "'connect_timeout'").total_seconds(),
            "answer_timeout": lambda each: self.duration(each, "'answer_timeout'").total_seconds(),
            "tries": lambda each: self.count(each, "'tries'"),
            "keep_open": lambda each: self._truth(each, "'keep_open'"),
            "held": lambda each: self._truth(each, "'held'"),
        }
        told: dict[str, Any] = {"name": "", "host": "", "port": 1}
        told |= {key: readers[key](value) for key, value in keys.items() if key in readers}
        told |= self._retry(keys["retry"]) if "retry" in keys else {}
        rules = self._rules(keys["pass_on"]) if "pass_on" in keys else ()
        return Receiver(rules=rules, own=own, **told)

    def _rules(self, node: Node) -> tuple[Match, ...] | None:
        if isinstance(node, ScalarNode):
            chosen = self._choice(node, "'pass_on'", ("all", "none"))
            return None if chosen == "none" else ()
        return tuple(self._match(each) for each in self.sequence(node, "'pass_on'"))

    def _match(self, node: Node) -> Match:
        keys = self.mapping(node, "a rule", ("types", "senders", "facilities"))
        if not keys:
            self.refuse(node, "a rule without a condition: say 'pass_on: all' to pass on everything")
        return Match(**{key: frozenset(self.texts(value, f"'{key}'")) for key, value in keys.items()})

    def _own(self, node: Node, keys: Mapping[str, Node]) -> Own:
        version = self.text(keys["version"], "'version'") if "version" in keys else Own().version
        told: dict[str, Any] = {name: self._named(keys[name], name) for name in _NAMES if name in keys}
        for occasion, forms in _OCCASIONS.items():
            if occasion not in keys:
                continue
            form = self._choice(keys[occasion], f"'{occasion}'", forms)
            if version not in FORMS[form]:
                known = ", ".join(FORMS[form])
                self.refuse(keys.get("version", keys[occasion]), f"'{form}' is built in versions {known}")
            told[occasion] = form
        if "charset" in keys:
            told["charset"], told["codec"] = self._charset(keys["charset"])
        if "unmappable" in keys:
            chosen = self._choice(keys["unmappable"], "'unmappable'", ("aside", "replace"))
            told["replaces"] = chosen == "replace"
        return Own(version=version, **told)

    def _charset(self, node: Node) -> tuple[str, str]:
        name = self.text(node, "'charset'")
        try:
            return name, charset.codec(name, "utf-8")
        except FieldInvalid:
            self.refuse(node, "'charset' must be a name of HL7 table 0211, such as 'UNICODE UTF-8' or '8859/1'")
            return name, "utf-8"

    def _named(self, node: Node, key: str) -> str:
        name = self.text(node, f"'{key}'")
        if len(name) > _MOST_NAMED or not name.isascii() or any(mark in name for mark in "|~\\&\r\n"):
            self.refuse(node, f"'{key}' must be a name for MSH without delimiters other than '^'")
        if name.count("^") >= _MOST_PARTS:
            self.refuse(node, f"'{key}' must have at most {_MOST_PARTS} components: name^universal ID^its type")
        return name

    def _port(self, node: Node) -> int:
        port = self.count(node, "'port'")
        if port > 65535:
            self.refuse(node, "'port' must be at most 65535")
        return port

    def _tls(self, node: Node) -> Tls:
        if isinstance(node, ScalarNode) and self._truth(node, "'tls'") is False:
            self.refuse(node, "leave 'tls' out where there is none")
        if isinstance(node, ScalarNode):
            return Tls()
        keys = self.mapping(node, "'tls'", ("ca", "certificate", "key", "server_name"))
        if ("certificate" in keys) != ("key" in keys):
            self.refuse(node, "'certificate' and 'key' go together")
        told: dict[str, Any] = {key: self.text(value, f"'{key}'") for key, value in keys.items()}
        told |= {key: Path(value) for key, value in told.items() if key != "server_name"}
        return Tls(**told)

    def _retry(self, node: Node) -> dict[str, float]:
        keys = self.mapping(node, "'retry'", ("first", "longest"))
        told = {key: self.duration(value, f"'{key}'").total_seconds() for key, value in keys.items()}
        if told.get("first", Receiver.first) > told.get("longest", Receiver.longest):
            self.refuse(node, "'first' must not be longer than 'longest'")
        return told

    def _truth(self, node: Node, what: str) -> bool:
        return self._choice(node, what, ("true", "false")) == "true"

    def _choice(self, node: Node, what: str, choices: tuple[str, ...]) -> str:
        told = self.text(node, what)
        if told not in choices:
            self.refuse(node, f"{what} must be one of {', '.join(choices)}")
            return choices[0]
        return told
