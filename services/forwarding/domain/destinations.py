"""Where things are passed on to, and which instances a destination gets."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from contracts.formats.manifest import Instance

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
#: PS3.5 section 6.2, AE: at most 16 characters, neither a backslash nor a control character, not spaces alone.
AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Match(_Part):
    """A rule: an instance must be in every list that is given. An empty one demands nothing."""

    source_ae: Texts = ()
    modality: Texts = ()
    sop_class: Texts = ()
    transfer_syntax: Texts = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.source_ae or self.modality or self.sop_class or self.transfer_syntax):
            raise ValueError("a rule without a condition: leave `match` out to send everything")
        return self

    def takes(self, source_ae: str | None, instance: Instance) -> bool:
        """Whether an instance that ``source_ae`` (a calling AE title) sent is meant."""
        has = (source_ae, instance.routing.modality, instance.sop_class_uid, instance.transfer_syntax)
        wanted = (self.source_ae, self.modality, self.sop_class, self.transfer_syntax)
        return all(not some or value in some for value, some in zip(has, wanted, strict=True))


class Tls(_Part):
    """Who is trusted (the system's authorities without ``ca_file``), and what proves us to the destination."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` go together")
        return self


#: What a destination cannot do without, by its kind.
_NEEDED = {
    "dicom": ("host", "port"),
    "stow": ("url",),
    "mpps": ("host", "port"),
    "ian": ("host", "port", "retrieve_ae"),
}


class Destination(_Part):
    """A system that is sent to: instances by C-STORE (``dicom``) or by STOW-RS (``stow``), reports on procedure steps
    (``mpps``), notifications of instances that can be retrieved (``ian``).
    """

    name: Name
    kind: Literal["dicom", "stow", "mpps", "ian"]
    #: Of all but a ``stow`` destination: its address, its AE title, and ours.
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    called_ae: AeTitle = "ANY-SCP"
    calling_ae: AeTitle = "CAUSEWAY"
    #: Of a ``stow`` destination: the base of its studies service, such as ``https://vna.example/dicom-web``.
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")] | None = None
    #: A file with a bearer token; not readable by others.
    token_file: Path | None = None
    tls: Tls | None = None
    #: Any of these rules; everything without them.
    match: Annotated[tuple[Match, ...], Field(min_length=1)] | None = None
    #: Whether what is compressed without loss may be sent decompressed where it takes no other transfer syntax of it.
    decompress: bool = False
    #: Of an ``ian`` destination: who gives the instances to those that ask (C-MOVE, C-GET), and how fast.
    retrieve_ae: AeTitle | None = None
    availability: Literal["ONLINE", "NEARLINE"] = "ONLINE"
    #: Whether its queue stands until an operator releases it.
    held: bool = False
    #: Batches that were complete before this moment are not sent, and what was reported or archived before it is not
    #: told: what a new system already got by migration.
    since: AwareDatetime | None = None
    #: Seconds that it may take to take or answer something.
    timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := [name for name in _NEEDED[self.kind] if getattr(self, name) is None]:
            raise ValueError(f"a destination of kind {self.kind} needs `{missing[0]}`")
        if self.kind != "stow" and (self.url or self.token_file):
            raise ValueError("`url` and `token_file` belong to kind stow")
        if self.kind == "stow" and (self.host or self.port):
            raise ValueError("`host` and `port` belong to kind dicom, mpps or ian")
        if self.kind in ("mpps", "ian") and (self.match or self.decompress):
            raise ValueError("`match` and `decompress` are of instances: they belong to kind dicom or stow")
        if self.kind != "ian" and self.retrieve_ae:
            raise ValueError("`retrieve_ae` belongs to kind ian")
        return self

    def wanted(self, source_ae: str | None, instances: Iterable[Instance]) -> tuple[Instance, ...]:
        """Those of a batch that it gets, in their order."""
        return tuple(one for one in instances if self._takes(source_ae, one))

    def _takes(self, source_ae: str | None, instance: Instance) -> bool:
        return self.match is None or any(rule.takes(source_ae, instance) for rule in self.match)
