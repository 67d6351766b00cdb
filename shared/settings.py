"""What every service reads from its environment; a service adds its own fields in its ``config.py``."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Common settings: field ``nats_url`` is read from ``CAUSEWAY_NATS_URL`` and so on. Frozen after reading."""

    model_config = SettingsConfigDict(
        env_prefix="CAUSEWAY_", frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    #: A folder whose files are named like variables (``causeway_nats_password``) and hold what no environment should:
    #: how containers get passwords. A variable goes before a file.
    secrets_dir: Path | None = None

    #: The name of this site in ``ce-source``; never a name that identifies a person.
    site: str = "local"

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: SecretStr | None = None

    #: Health, metrics and the service's routes; port 0 takes a free one.
    http_host: str = "127.0.0.1"
    http_port: int = 0
    #: Requests in work at a time. A few more connections are let in, for probes; who says nothing gives way.
    http_max_connections: int = Field(default=256, ge=1)
    http_tls_cert: Path | None = None
    http_tls_key: Path | None = None
    #: Lines ``name token``, read again when the file changes.
    http_token_file: Path | None = None

    site_key_file: Path = Path(".causeway/keys/site.key")

    log_level: str = "INFO"
    #: Finished spans, one JSON object a line; none are written without it.
    trace_file: Path | None = None
    #: Where spans are sent as well, such as ``http://collector:4318/v1/traces``.
    otlp_endpoint: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed, else the environment, else the files of ``secrets_dir``."""
        folder = env_settings().get("secrets_dir")
        files = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder else ()
        return (init_settings, env_settings, *files)
