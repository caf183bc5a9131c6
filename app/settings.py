"""Settings: environment first, then the file that YEETER_CONFIG names, then these defaults.

Prefix ``YEETER_``; and, for what deployments already use, ``RABBITMQ_URL``, ``RABBITMQ_ORDER_QUEUE``, ``DATABASE_URL``.
``docs/configuration.md`` is generated from this file.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from app.domain.duration import parse_duration
from app.domain.errors import InvalidInput, Problem


def _alias(name: str) -> Any:
    return AliasChoices(name, f"YEETER_{name}", name.lower())


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="YEETER_", env_ignore_empty=True, extra="ignore", populate_by_name=True, frozen=True
    )

    # Where things are
    home: Path = Field(default=Path(".yeeter"), description="Folder of the embedded database and generated studies")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=_alias("DATABASE_URL"),
        description="Database, e.g. postgresql://user:password@host/yeeter. Empty: SQLite at home/yeeter.db",
    )
    rabbitmq_url: SecretStr | None = Field(
        default=None,
        validation_alias=_alias("RABBITMQ_URL"),
        description="Broker, e.g. amqp://user:password@host:5672/%2F. Empty: the in-process queue",
    )
    rabbitmq_order_queue: str = Field(
        default="yeeter.simulation.orders",
        validation_alias=_alias("RABBITMQ_ORDER_QUEUE"),
        description="Queue of jobs whose step names no queue of its own",
    )
    study_store: str | None = Field(
        default=None,
        description="Folder of generated studies, or s3://BUCKET/PREFIX with AWS's variables for the rest."
        " Empty: home/studies",
    )
    server: str | None = Field(
        default=None, description="API that the command line talks to, e.g. http://127.0.0.1:8000"
    )
    token: SecretStr | None = Field(
        default=None, description="Token that the command line shows to that API, made there by `yeeter tokens create`"
    )

    # API
    host: str = Field(default="127.0.0.1", description="Address the API binds to")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the API binds to")
    tokens_file: Path | None = Field(
        default=None,
        description="File of the tokens that callers must show. Empty: nobody needs one, and only loopback is bound to",
    )
    allowed_origins: list[str] = Field(
        default=[],
        description="Origins, e.g. https://yeeter.example, that the API is asked by or whose pages may ask it",
    )
    allowed_destinations: list[str] = Field(
        default=["127.0.0.1", "localhost", "::1"],
        description="Hosts, or HOST:PORT, that runs started over the API may send to."
        " Once set, this process connects to no other destination, whoever started the run",
    )
    retention: str | None = Field(
        default=None,
        description="How long the API keeps runs that have ended, e.g. 30d; it looks once an hour. Empty: for ever",
    )

    # Producer
    backpressure_mark: int = Field(
        default=5000, ge=1, description="Published, unfinished jobs of one run before publishing waits"
    )
    lease_seconds: float = Field(default=15.0, gt=1, description="Life of a producer's lease on its run, in seconds")
    reconcile_deadline: float = Field(
        default=30.0, ge=0, description="Seconds to go on asking an archive that indexes late"
    )

    # Worker
    worker_concurrency: int = Field(default=4, ge=1, le=256, description="Jobs one worker process runs side by side")
    worker_prefetch: int = Field(
        default=256,
        ge=1,
        le=5000,
        description="Messages a worker holds unacknowledged at most: so many while jobs take a few milliseconds each,"
        " otherwise 8 for each job it runs side by side",
    )
    worker_grace: float = Field(default=30.0, gt=0, description="Seconds a stopping worker gives its running jobs")
    worker_health_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port of its /healthz, /readyz and /metrics. Empty: none"
    )
    job_lease: float = Field(default=600.0, gt=0, description="Seconds after which a claimed job may be claimed again")
    step_types: list[str] = Field(default=[], description="Third-party step types, each NAME=module:Class")

    # Autoscaler
    autoscaler_platform: Literal["kubernetes", "local"] = Field(
        default="local", description="Where worker pools run: Deployments of a cluster, or processes of this machine"
    )
    autoscaler_namespace: str | None = Field(
        default=None, description="Namespace of the pools' Deployments. Empty: the one that the program runs in"
    )
    autoscaler_pools_file: Path | None = Field(
        default=None, description="YAML list of the worker pools. Empty: one pool, for the order queue"
    )
    autoscaler_interval: float = Field(default=15.0, gt=0, description="Seconds between two looks at the pools")
    autoscaler_pin_seconds: float = Field(
        default=1800.0,
        gt=0,
        description="How long a number of workers that somebody has set by hand is kept, in seconds",
    )
    autoscaler_lease: str = Field(
        default="yeeter-autoscaler", description="Kubernetes Lease by which one of several autoscalers leads"
    )
    autoscaler_identity: str | None = Field(
        default=None, description="Name of this autoscaler among several. Empty: host and process ID"
    )
    autoscaler_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port of its /healthz, /readyz and /metrics. Empty: none"
    )
    rabbitmq_management_url: str | None = Field(
        default=None,
        description="RabbitMQ's management API, which tells the depths of queues."
        " Empty: http://, or https:// with an amqps:// broker, at its usual port of the broker's host",
    )

    # TLS for destinations that ask for it, and for a broker at amqps://
    tls_ca_file: Path | None = Field(
        default=None,
        description="CA certificates that destinations and the broker are checked against. Empty: the system's",
    )
    tls_cert_file: Path | None = Field(default=None, description="Own certificate, where the peer asks for one")
    tls_key_file: Path | None = Field(default=None, description="Key of the own certificate")

    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe log line")
    log_format: Literal["console", "json"] = Field(default="console", description="Form of the log lines")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get("YEETER_CONFIG")
        sources = (init_settings, env_settings)
        return (*sources, YamlConfigSettingsSource(settings_cls, yaml_file=file)) if file else sources

    @field_validator("retention")
    @classmethod
    def _is_duration(cls, retention: str | None) -> str | None:
        if retention is not None:
            parse_duration(retention)
        return retention

    @cached_property
    def sqlalchemy_url(self) -> str:
        """The address of the database: the one that is set, or an SQLite file in the home folder."""
        if self.database_url is None or not self.database_url.get_secret_value():
            return f"sqlite:///{(self.home / 'yeeter.db').resolve()}"
        return self.database_url.get_secret_value()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine, rather than a server that others use too."""
        return self.sqlalchemy_url.startswith("sqlite")

    @property
    def broker_url(self) -> str | None:
        return self.rabbitmq_url.get_secret_value() if self.rabbitmq_url else None

    @property
    def studies(self) -> str:
        """Where generated studies are: a folder, or a bucket's address."""
        return self.study_store or str(self.home / "studies")

    @property
    def retention_seconds(self) -> float | None:
        return None if self.retention is None else parse_duration(self.retention)

    def run_folder(self, run_id: str) -> Path:
        """Where a run's own files are, as long as there is the run: the ledgers of its built-in receivers."""
        return self.home / "runs" / run_id

    def as_environment(self) -> dict[str, str]:
        """This process's environment, changed so that a child's settings are these, however they were given."""
        environment = dict(os.environ)
        for name, field in type(self).model_fields.items():
            alias = field.validation_alias
            names = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [f"YEETER_{name}"]
            folded = {choice.upper() for choice in names}
            for variable in [variable for variable in environment if variable.upper() in folded]:
                del environment[variable]
            value = getattr(self, name)
            if name in self.model_fields_set and value is not None:
                environment[names[0].upper()] = _as_text(value)
        return environment


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, list) else str(value)


def load_settings(**overrides: Any) -> Settings:
    """Settings of this process.

    Raises:
        app.domain.errors.InvalidInput: a setting is wrong; names it as the environment does.
    """
    file = os.environ.get("YEETER_CONFIG")
    if file and not Path(file).is_file():
        raise InvalidInput(Problem("YEETER_CONFIG", f"{file}: no such file", "correct it, or unset it"))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise _readable(error) from error
    except SettingsError as error:  # a list that is not JSON
        cure = """lists are JSON, e.g. '["a", "b"]'"""
        raise InvalidInput(Problem("settings", str(error), cure)) from error
    except (yaml.YAMLError, OSError, TypeError, ValueError) as error:
        raise InvalidInput(Problem("YEETER_CONFIG", f"{file}: not a YAML mapping of settings: {error}")) from error


def _readable(error: ValidationError) -> Exception:
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else "settings"
        shown = name.upper() if name.upper().startswith(("RABBITMQ_", "DATABASE_")) else f"YEETER_{name.upper()}"
        problems.append(Problem(shown, item["msg"]))
    return InvalidInput(*problems)
