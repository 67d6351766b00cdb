"""Golden messages: one per frozen schema revision, written once and kept for ever.

``python -m tests.contract.samples`` writes those that are missing. A message that was once on a stream stays readable,
so a golden message is never changed; ``SHA256SUMS`` beside them tells of each what it was.
"""

import json
import re
from pathlib import Path
from typing import Any

from contracts.events import EVENTS
from contracts.freeze import load, record, revisions

MESSAGES = Path(__file__).parent / "messages"

_TEXT = {
    "uid": "1.2.826.0.1.3680043.10.1511.1",
    "opaque": "0123456789abcdef0123456789abcdef",
    "routing": "CT",
    "none": "cloud-a",
}


def sample(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """A value that the schema allows, with every optional property and one element in every list."""
    root = root or schema
    if "$ref" in schema:
        return sample(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    return _by_type(schema, root)


def _by_type(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    match schema["type"]:
        case "object":
            return {name: sample(each, root) for name, each in schema["properties"].items()}
        case "array":
            return [sample(schema["items"], root)]
        case "string":
            return _text(schema)
        case kind:
            return {"integer": 3, "number": 0.5, "boolean": True}[kind]


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "2026-11-22T08:00:00.123456Z"
    if "pattern" not in schema:
        return _TEXT[schema["x-phi"]]
    return next(text for text in (_TEXT["opaque"] * 2, "1-30,45") if re.search(schema["pattern"], text))


def message(schema: dict[str, Any], subject: str) -> dict[str, Any]:
    """A whole message: the sample in its envelope."""
    return {
        "specversion": "1.0",
        "id": _TEXT["opaque"],
        "source": "/causeway/site/service",
        "type": subject,
        "time": "2026-11-22T08:00:00.123456Z",
        "datacontenttype": "application/json",
        "dataschema": f"urn:causeway:schema:{subject}",
        "traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
        "data": sample(schema),
    }


def main() -> None:
    """Write the golden messages that are missing."""
    MESSAGES.mkdir(exist_ok=True)
    for event in EVENTS:
        for path in revisions(event.subject):
            if not (MESSAGES / path.name).exists():
                text = json.dumps(message(load(path), event.subject), indent=2) + "\n"
                (MESSAGES / path.name).write_text(text, encoding="utf-8")
    record(MESSAGES)


if __name__ == "__main__":
    main()
