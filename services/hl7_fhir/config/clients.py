"""What FHIR clients may do beside reading."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from shared.settings import ServiceSettings


class Clients(ServiceSettings):
    """Writing and subscribing: off unless the site turns them on."""

    #: What FHIR clients may write: nothing, resources of their own, or also those that messages made.
    fhir_writes: Literal["none", "own", "all"] = "none"

    #: Whether clients may make Subscriptions, and the beginnings of URLs that these may send to: they tell of patients.
    fhir_subscriptions: bool = False
    fhir_subscription_endpoints: tuple[str, ...] = ()
    #: Certificates (PEM) that endpoints are to be proven by, instead of the public authorities.
    fhir_subscription_ca_file: Path | None = None
    fhir_subscription_limit: Annotated[int, Field(gt=0)] = 100
    #: Seconds that events are kept, and after which a subscriber that takes none is given up.
    fhir_subscription_keep: Annotated[float, Field(gt=0)] = 7 * 86400.0
    fhir_subscription_give_up: Annotated[float, Field(gt=0)] = 3600.0
