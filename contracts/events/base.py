"""The base of every event: a frozen fact that knows its subject and its stream."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """A frozen value. Unknown fields are ignored, so that old code reads what new code wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Event(Fact):
    """A fact with a subject of its own: ``<stream>.<entity>.<fact>.v<major>``, the CloudEvents type as well."""

    subject: ClassVar[str]

    @classmethod
    def stream(cls) -> str:
        """The JetStream stream that holds the subject: ``IMAGING`` or ``CLINICAL``."""
        return cls.subject.split(".", 1)[0].upper()
