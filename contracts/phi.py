"""The PHI class of a field: how close its value comes to a person.

Every field of every event has one, written into its JSON Schema as ``x-phi``, so that an integrator, a privacy
officer and a test can see what travels. A direct identifier (name, patient id, birth date, accession number,
address, free text) has no class here because it has no place on the bus.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field


def phi(label: str, **more: Any) -> Any:
    """A pydantic field annotation that states the PHI class ``label`` in the JSON Schema."""
    return Field(json_schema_extra={"x-phi": label}, **more)


#: Says nothing of a person: counts, sizes, states, names of targets and tiers.
Technical = Annotated[str, phi("none")]
Count = Annotated[int, phi("none", ge=0)]
Flag = Annotated[bool, phi("none")]
Fraction = Annotated[float, phi("none", ge=0, le=1)]
Seconds = Annotated[float, phi("none", ge=0)]

#: A random or keyed value that only this site can relate to anything.
Opaque = Annotated[str, phi("opaque")]

#: SHA-256 in lower-case hexadecimal, 64 characters, of bytes that never leave the site readable.
Digest = Annotated[str, phi("opaque", pattern=r"^[0-9a-f]{64}$")]

#: A DICOM unique identifier (PS3.5 section 9): an indirect identifier under PS3.15, kept out of logs and spans.
Uid = Annotated[str, phi("uid")]

#: A routing attribute that is shared by many patients: modality, body part, priority.
Routing = Annotated[str, phi("routing")]

#: When Causeway did something; never a time from a patient's record.
Moment = Annotated[AwareDatetime, phi("none")]

__all__ = ["Count", "Digest", "Flag", "Fraction", "Moment", "Opaque", "Routing", "Seconds", "Technical", "Uid", "phi"]
