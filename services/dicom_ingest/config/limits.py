"""What one peer may ask of us; no default refuses a legitimate object."""

from pydantic import Field

from shared.settings import ServiceSettings

_MIB = 1024 * 1024


class Limits(ServiceSettings):
    """Numbers, sizes and times of associations and of what they bring."""

    #: In all, by address, and by calling AE title; the registry may say another number for a peer.
    max_associations: int = Field(default=64, ge=1)
    max_associations_per_address: int = Field(default=32, ge=1)
    max_associations_per_ae: int = Field(default=32, ge=1)

    #: An A-ASSOCIATE of 128 contexts with a dozen syntaxes each is legitimate.
    max_associate_pdu: int = Field(default=_MIB, ge=4096)
    max_pdu: int = Field(default=256 * 1024, ge=4096, le=_MIB)
    #: Until the greeting begins; for the rest of a PDU's header; between PDUs (the registry may say another).
    artim: float = Field(default=30.0, gt=0)
    pdu_header_deadline: float = Field(default=5.0, gt=0)
    idle_timeout: float = Field(default=60.0, gt=0)
    #: For a TLS handshake from its first byte to its last.
    tls_handshake_deadline: float = Field(default=10.0, gt=0)
    #: Bytes per second, counted inside a PDU only.
    min_throughput: int = Field(default=16 * 1024, ge=1)
    drain_grace: float = Field(default=10.0, ge=0)

    #: The largest data set, and the largest by SOP class: ``{"1.2.840.10008.5.1.4.1.1.2": 1073741824}``.
    #: Native pixels alone may have 4 GiB less two bytes (PS3.5 section 7.1.1), encapsulated ones more.
    max_instance: int = Field(default=16 * 1024 * _MIB, ge=1)
    max_instance_by_class: dict[str, int] = Field(default_factory=dict)

    #: What of a header is read (docs/adr/0025): nested sequences, elements, items; beyond it is stored and flagged.
    header_depth: int = Field(default=32, ge=1, le=64)
    header_elements: int = Field(default=200_000, ge=1000, le=2_000_000)
    header_items: int = Field(default=100_000, ge=100, le=1_000_000)
    #: What a deflated data set may grow to while its header is read, and how many times its size.
    inflate_bytes: int = Field(default=64 * _MIB, ge=_MIB, le=1024 * _MIB)
    inflate_ratio: int = Field(default=200, ge=10, le=1032)

    def largest(self, sop_class: str) -> int:
        """The largest data set that is taken of a SOP class, bytes."""
        return self.max_instance_by_class.get(sop_class, self.max_instance)
