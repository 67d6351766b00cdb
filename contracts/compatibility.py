"""What would break between two revisions of an event's JSON Schema, whichever side is the older.

Streams keep messages for months and services are not exchanged at one moment, so new code must read old messages and
old code new ones. Hence what was released never changes, neither narrower (new code would refuse old messages) nor
wider (old code, which validates strictly, would refuse new ones): a schema only grows, by optional properties.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

#: What a reader may word anew at any time.
_WORDS = {"title", "description", "examples", "$id", "$schema", "$comment", "$defs"}
#: Keywords that are compared by a rule of their own.
_STRUCTURE = {"properties", "required", "items", "anyOf", "$ref", "x-phi", "default"}


def breaks(old: Schema, new: Schema) -> list[str]:
    """Every break between the two, as ``<path>: <kind>``; empty when ``new`` only grew."""
    return sorted(set(_compare("$", old, new, (old, new))))


def wordless(schema: Any) -> Any:
    """The schema without what only explains: two that differ in nothing else demand the same."""
    if isinstance(schema, list):
        return [wordless(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if key not in {"title", "description", "examples", "$comment"}}
    named = {key: kept.pop(key, {}) for key in ("properties", "$defs")}
    plain = {key: wordless(value) for key, value in kept.items()}
    # A property may itself be called "title": names are no keywords.
    return plain | {
        key: {name: wordless(each) for name, each in group.items()} for key, group in named.items() if group
    }


def _compare(path: str, old: Schema, new: Schema, roots: tuple[Schema, Schema]) -> Iterator[str]:
    old, new = _resolve(old, roots[0]), _resolve(new, roots[1])
    yield from _constraints(path, old, new)
    yield from _properties(path, old, new, roots)
    yield from _choices(path, old, new, roots)
    if "items" in old and "items" in new:
        yield from _compare(f"{path}[]", old["items"], new["items"], roots)
    elif "items" in old or "items" in new:
        yield f"{path}: items changed"


def _resolve(schema: Schema, root: Schema) -> Schema:
    """The schema with its reference followed; what stands beside a reference stays."""
    if "$ref" not in schema:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **beside}


def _constraints(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Type, enum, const, bounds, pattern, format, items' count … (JSON Schema Validation section 6)."""
    for keyword in sorted((old.keys() | new.keys()) - _WORDS - _STRUCTURE):
        before, after = old.get(keyword), new.get(keyword)
        if keyword == "enum" and before is not None and after is not None:
            before, after = sorted(before, key=str), sorted(after, key=str)
        if before != after:
            yield f"{path}: {keyword} changed"
    for keyword in ("x-phi", "default"):
        if old.get(keyword) != new.get(keyword):
            yield f"{path}: {keyword} changed"


def _properties(path: str, old: Schema, new: Schema, roots: tuple[Schema, Schema]) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{path}.{name}: removed"
        elif name in before:
            yield from _compare(f"{path}.{name}", before[name], after[name], roots)
    required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
    yield from (f"{path}.{name}: became required" for name in required_after - required_before)
    yield from (f"{path}.{name}: no longer required" for name in required_before - required_after if name in after)


def _choices(path: str, old: Schema, new: Schema, roots: tuple[Schema, Schema]) -> Iterator[str]:
    before, after = old.get("anyOf", ()), new.get("anyOf", ())
    if len(before) != len(after):
        yield f"{path}: choices changed"
        return
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        yield from _compare(f"{path}|{number}", one, other, roots)
