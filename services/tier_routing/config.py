"""Settings of tier_routing, read once from the environment."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """``CAUSEWAY_POLICY_FILE`` and so on."""

    #: The ledger: ``sqlite:////folder/file`` or ``postgresql+psycopg://…``.
    database_url: str = "sqlite:////var/lib/causeway/tier_routing.sqlite3"
    #: Where the manifests of landing batches lie.
    landing_url: str = "file:///var/lib/causeway/landing"
    targets_file: Path = Path("examples/targets.yaml")
    #: The tier policy (docs/operations/policy.md); the service does not start with one that is wrong.
    policy_file: Path = Path("examples/policy.yaml")

    #: Seconds between two looks at packs that may be due.
    pack_timer_every: float = Field(default=0.5, gt=0)
    #: Seconds between two looks at what may be overdue or past its retention.
    sweep_every: float = Field(default=15.0, gt=0)
