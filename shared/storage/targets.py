"""The places where copies rest, named in ``targets.yaml`` and read once; what is wrong there is told with its line."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlencode

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from yaml.reader import ReaderError

from shared.storage.opening import Credentials, open_store
from shared.storage.port import BlobStore

_SCHEMES = {"s3": "s3", "azure": "az", "gcs": "gs"}

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{2,57}$")]


@dataclass(frozen=True)
class _Entry:
    """A setting in the file: its line, counted from 1, and what stands there."""

    line: int
    node: yaml.Node


class TargetsRefused(ValueError):
    """``targets.yaml`` is wrong; each of ``problems`` starts with ``line N:``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Target(BaseModel):
    """One place: a folder, or a bucket of a cloud with a second one, ``<bucket>-keys``, for deletable key objects."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    kind: Literal["filesystem", "s3", "azure", "gcs"]
    #: ``file:///folder`` of a filesystem target.
    url: Annotated[str, Field(pattern=r"^file:///.+[^/]$")] | None = None
    bucket: Bucket | None = None
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9/-]*$")] | None = None
    endpoint: Annotated[str, Field(pattern=r"^https?://[^/]+(/[A-Za-z0-9]+)?$")] | None = None
    region: Name | None = None
    #: Whose law reaches the bytes, such as ``de`` or ``eu``; policy excludes forms by it.
    jurisdiction: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    #: Tier names of policy, each with the provider's storage class.
    tiers: Annotated[dict[Name, str], Field(min_length=1)] = {"hot": "STANDARD"}
    #: What may rest here.
    forms: Annotated[tuple[Literal["identified", "deidentified"], ...], Field(min_length=1)]
    #: JSON with ``access_key``, ``secret_key`` and perhaps ``session_token``; not readable by others.
    credentials_file: Path | None = None
    #: Or the prefix of ``…_ACCESS_KEY``, ``…_SECRET_KEY``, ``…_SESSION_TOKEN`` in the environment.
    credentials_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    #: Object lock on the data bucket, made with it; days that a copy cannot be deleted by anybody.
    lock_days: Annotated[int, Field(ge=1)] | None = None
    #: Per tier, in the site's currency per gigabyte and month.
    prices: dict[Name, Annotated[float, Field(ge=0)]] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = "url" if self.kind == "filesystem" else "bucket"
        if getattr(self, needed) is None:
            raise ValueError(f"a target of kind {self.kind} needs `{needed}`")
        if self.credentials_file and self.credentials_env:
            raise ValueError("`credentials_file` and `credentials_env` exclude each other")
        if set(self.prices) - set(self.tiers):
            raise ValueError("`prices` names a tier that `tiers` has not")
        return self

    def place(self) -> tuple[str | None, ...]:
        """What no other target may share: copies in one place are one copy."""
        return (self.kind, self.url, self.endpoint, self.bucket, self.prefix)

    def credentials(self) -> Credentials | None:
        """The credentials, read now; None leaves it to the provider's own chain.

        OSError without the file, ValueError when it is none or others may read it, KeyError without the variables.
        """
        if self.credentials_file:
            return _credentials_from(self.credentials_file)
        if self.credentials_env:
            name = self.credentials_env
            token = os.environ.get(f"{name}_SESSION_TOKEN")
            return Credentials(os.environ[f"{name}_ACCESS_KEY"], os.environ[f"{name}_SECRET_KEY"], token)
        return None

    @property
    def key_bucket(self) -> str | None:
        """The bucket beside the data's, never locked, so that destroying keys is possible."""
        return f"{self.bucket}-keys" if self.bucket else None


def load_targets(path: Path) -> Mapping[str, Target]:
    """The targets by name in ``path``; TargetsRefused, or OSError without the file."""
    return parse_targets(path.read_text())


def parse_targets(text: str) -> Mapping[str, Target]:
    """The targets by name in ``text``; TargetsRefused with every problem found."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TargetsRefused((f"line {line}: no YAML: {error.problem}",)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TargetsRefused((f"line {line}: no YAML: a control character",)) from None
    whole = _mapping(root, 1, "a mapping with `targets`")
    outer = whole.get("targets")
    named = _mapping(outer.node, outer.line, "`targets`, a mapping by name") if outer else whole
    if not named:
        raise TargetsRefused(("line 1: no target is named",))
    problems: list[str] = []
    targets = {name: _target(name, entry, problems) for name, entry in named.items()}
    found = {name: target for name, target in targets.items() if target is not None}
    problems.extend(_shared_places(found, named))
    if problems:
        raise TargetsRefused(tuple(problems))
    return MappingProxyType(found)


def open_target(target: Target, tier: str | None = None) -> BlobStore:
    """The store of ``target``'s copies, in the storage class of ``tier``; KeyError for a tier that it has not."""
    storage_class = target.tiers[tier] if tier else None
    return _open(target, "", None if storage_class == "STANDARD" else storage_class)


def open_key_bucket(target: Target) -> BlobStore:
    """The store beside it for key objects: unlocked, deletable, in no archive class."""
    return _open(target, "-keys", None)


def _open(target: Target, suffix: str, storage_class: str | None) -> BlobStore:
    if target.kind == "filesystem":
        return open_store(f"{target.url}{suffix}")
    options = {"endpoint": target.endpoint, "region": target.region}
    query = urlencode({name: value for name, value in options.items() if value}, quote_via=quote)
    url = f"{_SCHEMES[target.kind]}://{target.bucket}{suffix}/{target.prefix or ''}?{query}"
    return open_store(url, target.credentials(), storage_class=storage_class)


def _credentials_from(path: Path) -> Credentials:
    if path.stat().st_mode & 0o007:
        raise ValueError("a credentials file must not be readable by others: chmod o= it")
    try:
        kept = json.loads(path.read_text())
        return Credentials(kept["access_key"], kept["secret_key"], kept.get("session_token"))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError("a credentials file is JSON with access_key and secret_key") from None


def _mapping(node: yaml.Node | None, line: int, what: str) -> dict[str, _Entry]:
    if not isinstance(node, yaml.MappingNode):
        raise TargetsRefused((f"line {line}: expected {what}",))
    found: dict[str, _Entry] = {}
    for key, value in node.value:
        entry = _Entry(key.start_mark.line + 1, value)
        if key.value in found:  # YAML takes the last one silently: the first would be a target that nobody writes to
            raise TargetsRefused((f"line {entry.line}: `{key.value}` is there twice",))
        found[str(key.value)] = entry
    return found


def _target(name: str, entry: _Entry, problems: list[str]) -> Target | None:
    _mapping(entry.node, entry.line, f"the settings of `{name}`")
    settings: Any = yaml.SafeLoader("").construct_document(entry.node)
    try:
        return Target(**{**settings, "name": name})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            where = tuple(str(step) for step in problem["loc"])
            told = ".".join((name, *where))
            problems.append(f"line {_line(entry, where)}: {told}: {problem['msg'].removeprefix('Value error, ')}")
    return None


def _line(entry: _Entry, where: tuple[str, ...]) -> int:
    """The line of the innermost setting on the way ``where``."""
    for step in where:
        found = _step(entry.node, step)
        if found is None:
            break
        entry = found
    return entry.line


def _step(node: yaml.Node, step: str) -> _Entry | None:
    if isinstance(node, yaml.MappingNode):
        named = ((key, value) for key, value in node.value if str(key.value) == step)
        return next((_Entry(key.start_mark.line + 1, value) for key, value in named), None)
    if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        item = node.value[int(step)]
        return _Entry(item.start_mark.line + 1, item)
    return None


def _shared_places(targets: Mapping[str, Target], entries: Mapping[str, _Entry]) -> Iterator[str]:
    first: dict[tuple[str | None, ...], str] = {}
    for name, target in targets.items():
        other = first.setdefault(target.place(), name)
        if other != name:
            yield f"line {entries[name].line}: `{name}` is the same place as `{other}`: one copy, not two"
