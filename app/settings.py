"""Settings: read once from the environment (and a TOML file named by CLEW_CONFIG), handed on, never global.

Every field is set by an environment variable: the class's prefix plus the field's name, nested with a double underscore
(`CLEW_TEMPO__URL`). docs/configuration.md lists them all; a test holds the two together. A secret may stand in a file that
the variable with `_FILE` behind its name gives, as container platforms hand secrets over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Seconds = Annotated[float, Field(gt=0, le=600)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceSettings(_Section):
    """How to reach one telemetry source."""

    url: str = Field("", description="Base URL with any path prefix; empty switches the source off.")
    tenant: str = Field("", description="Value of the X-Scope-OrgID header; empty sends none.")
    username: str = Field("", description="User name for basic authentication.")
    password: SecretStr = Field(SecretStr(""), description="Password for basic authentication.")
    bearer_token: SecretStr = Field(SecretStr(""), description="Token for bearer authentication.")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Further headers to send with each request.")
    ca_file: Path | None = Field(None, description="PEM bundle to trust instead of the system's.")
    client_cert_file: Path | None = Field(None, description="PEM client certificate.")
    client_key_file: Path | None = Field(None, description="PEM key of the client certificate, if not in the same file.")
    connect_timeout_s: Seconds = Field(2.0, description="Seconds to wait for a connection.")
    timeout_s: Seconds = Field(15.0, description="Seconds for a whole request, retries included.")
    search_timeout_s: Seconds = Field(30.0, description="Seconds for a whole search, retries included.")
    max_response_bytes: int = Field(64 * 2**20, gt=0, description="Largest answer accepted, after decompression.")
    attempts: int = Field(3, ge=1, le=10, description="Tries for a read that failed to connect or met 429/5xx.")
    max_parallel: int = Field(8, ge=1, le=64, description="Requests to this source under way at once.")

    @field_validator("url")
    @classmethod
    def _http_only(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if "@" in url.split("//", 1)[-1].split("/", 1)[0]:
            raise ValueError("must not hold credentials; use username and password")
        return url.rstrip("/")

    @property
    def enabled(self) -> bool:
        return bool(self.url)


class TempoSettings(SourceSettings):
    """Where traces are."""

    search_limit: int = Field(500, ge=1, le=100_000, description="Traces asked for in one search request.")
    max_search_window_h: int = Field(168, ge=1, description="Longest range of one search request, in hours.")
    search_cutoff_s: int = Field(
        30, ge=0, description="Seconds before now that Tempo does not search yet (its query_end_cutoff)."
    )


class PrometheusSettings(SourceSettings):
    """Where metrics and alert history are."""

    max_points: int = Field(11_000, ge=100, description="Most points per series in one range query; longer ones are split.")
    exemplar_labels: list[str] = Field(
        ["trace_id", "traceid", "trace.id"], description="Exemplar labels that hold a trace id, compared without case."
    )


class AlertmanagerSettings(SourceSettings):
    """Where grouped alerts and silences are; the webhook receiver's token."""

    webhook_token: SecretStr = Field(
        SecretStr(""), description="Bearer token that POST /hooks/alertmanager asks for; empty switches the receiver off."
    )


class GrafanaSettings(_Section):
    """Links back into Grafana. Clew never calls it."""

    url: str = Field("", description="Base URL of Grafana; empty leaves the links out.")
    tempo_uid: str = Field("tempo", description="Uid of the Tempo data source in Grafana.")
    prometheus_uid: str = Field("prometheus", description="Uid of the Prometheus data source in Grafana.")
    org_id: int = Field(1, ge=1, description="Grafana organisation.")

    @field_validator("url")
    @classmethod
    def _http_only(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url.rstrip("/")


class DatabaseSettings(_Section):
    """Where cases, users and evidence are kept."""

    url: str = Field(
        "sqlite:///clew.db", description="sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME (needs clew[postgres])."
    )
    password: SecretStr = Field(SecretStr(""), description="Password of the PostgreSQL user, where the URL holds none.")
    migrate_on_start: bool | None = Field(
        None, description="Run migrations when the server starts. Unset: yes for SQLite, no for PostgreSQL (clew db upgrade)."
    )


class SecuritySettings(_Section):
    """Log-in and sessions."""

    session_idle_min: int = Field(60, ge=1, description="Minutes without a request after which a session ends.")
    session_hours: int = Field(12, ge=1, description="Hours after which a session ends in any case.")
    lockout_failures: int = Field(5, ge=1, description="Failed log-ins of one account within five minutes before it locks.")
    lockout_address_failures: int = Field(20, ge=1, description="Failed log-ins from one address within five minutes.")
    secure_cookies: bool | None = Field(
        None, description="Send cookies over HTTPS only. Unset: yes, except where the server is bound to a loopback address."
    )
    trusted_proxies: list[str] = Field(
        default_factory=list, description="Addresses or networks whose X-Forwarded-For and -Proto are believed."
    )


class WebSettings(_Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8000, ge=1, le=65535, description="Port to bind.")
    public_url: str = Field("", description="How people reach Clew, for links in exports; empty takes the request's own.")
    refresh_s: int = Field(15, ge=2, le=3600, description="Seconds between refreshes of a live page.")
    demo: bool = Field(False, description="Mark every page as a demonstration. Set by clew demo.")


class AnalysisSettings(_Section):
    """What a house adds to the shipped judgement."""

    rules_dir: Path | None = Field(
        None, description="Folder with a house's own signal rules (*.yaml), beside the shipped ones."
    )
    labels_file: Path | None = Field(
        None, description="YAML file with a house's own alert labels and the attributes they speak of."
    )
    traces_per_alert: int = Field(
        500, ge=10, le=10_000, description="Most traces behind one alert that are fetched and judged; all are counted."
    )
    known_services: list[str] = Field(
        default_factory=list, description="Services that send spans, so that a hop without one is known to be missing."
    )
    client_address_is_pii: bool = Field(False, description="Count client addresses among personal data in findings.")


class Settings(BaseSettings):
    """All settings of one Clew process."""

    model_config = SettingsConfigDict(env_prefix="CLEW_", env_nested_delimiter="__", extra="forbid")

    tempo: TempoSettings = Field(default_factory=lambda: TempoSettings.model_validate({}))
    prometheus: PrometheusSettings = Field(default_factory=lambda: PrometheusSettings.model_validate({}))
    alertmanager: AlertmanagerSettings = Field(default_factory=lambda: AlertmanagerSettings.model_validate({}))
    grafana: GrafanaSettings = Field(default_factory=lambda: GrafanaSettings.model_validate({}))
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings.model_validate({}))
    security: SecuritySettings = Field(default_factory=lambda: SecuritySettings.model_validate({}))
    web: WebSettings = Field(default_factory=lambda: WebSettings.model_validate({}))
    analysis: AnalysisSettings = Field(default_factory=lambda: AnalysisSettings.model_validate({}))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        config = os.environ.get("CLEW_CONFIG")
        sources: list[PydanticBaseSettingsSource] = [init_settings, _Environment(settings_cls)]
        if config:
            if not Path(config).is_file():
                raise FileNotFoundError(f"CLEW_CONFIG names {config}, which is not a file")
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=config))
        return tuple(sources)


class _Environment(EnvSettingsSource):
    """The environment, with the secrets that `CLEW_..._FILE` names read from their files.

    Errors: ValueError names the variable whose file cannot be read, or that is given both ways; never a secret.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = dict(super()._load_env_vars())
        for name in _secrets(self.settings_cls):
            file = found.pop(f"{name}_file", None)
            if not file:
                continue
            if found.get(name):
                raise ValueError(f"{name.upper()} is given both by itself and by {name.upper()}_FILE")
            try:
                # Editors and `echo` end a file with a newline that is no part of the secret.
                found[name] = Path(file).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "not text"
                raise ValueError(f"{name.upper()}_FILE names a file that cannot be read: {why}") from None
        return found


def _secrets(settings: type[BaseSettings]) -> list[str]:
    """The environment variables, in lower case, whose values are secret."""
    return [
        f"clew_{section}__{name}"
        for section, field in settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name, inner in field.annotation.model_fields.items()
        if inner.annotation is SecretStr
    ]


def load(**given: Any) -> Settings:
    """Settings from the environment and the TOML file; `given` (nested dictionaries) wins over both.

    Errors: ValidationError or ValueError naming the setting; FileNotFoundError for a CLEW_CONFIG that is not there.
    """
    # A misspelt variable would be silently ignored otherwise, and its owner would believe it in force.
    known = {"CLEW_CONFIG", *(f"CLEW_{section.upper()}" for section in Settings.model_fields)}
    strangers = sorted(n for n in os.environ if n.startswith("CLEW_") and n.split("__")[0] not in known)
    if strangers:
        raise ValueError(f"unknown setting {strangers[0]}; docs/configuration.md lists all")
    return Settings(**given)
