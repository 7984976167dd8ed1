"""The composition root: from settings to the parts that commands work with."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import structlog

from bus.database import Job, as_job
from bus.errors import SettingError
from bus.kafka import KafkaConnection, kafka_connection
from bus.settings import Mode, Settings, read_settings
from bus.subject import Pseudonymizer
from consumers.accesses.contract import access_contract
from consumers.rights import has_rights
from deploy.local.running import running_environment
from deploy.production import check_production
from registry.catalogue import load_catalogue
from registry.client import ConfluentSchemaRegistry, SchemaRegistry
from registry.contracts import Catalogue, RecordType

ASK_TIMEOUT_S = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What every command needs, made from one reading of the settings; nothing is connected yet."""

    settings: Settings
    catalogue: Catalogue
    registry: SchemaRegistry
    kafka: KafkaConnection
    pseudonymizer: Pseudonymizer

    def database(self, job: Job | None = None) -> AbstractContextManager[psycopg.Connection[Any]]:
        """A connection to the views, each statement its own transaction unless one is opened."""
        return psycopg.connect(self.database_url(job) if job else self.settings.database_url, autocommit=True)

    def database_url(self, job: Job) -> str:
        """The database's URL for a job, whose role each connection takes.

        In development a database that knows no roles yet is used without; what is in production is refused by it then.
        """
        url = self.settings.database_url
        if self.settings.mode is Mode.DEVELOPMENT and not self._knows(job):
            log.warning("role_not_taken", job=job.name.lower(), remedy="run 'yekbar catalogue apply'")
            return url
        return as_job(url, job)

    def _knows(self, job: Job) -> bool:
        try:
            with psycopg.connect(self.settings.database_url, autocommit=True, connect_timeout=ASK_TIMEOUT_S) as asked:
                return has_rights(asked, job)
        except psycopg.OperationalError:
            return True  # it is away: whoever connects later takes the role

    def record_type(self, name: str) -> RecordType:
        """The record type of a name that a person typed. Raises SettingError naming those there are."""
        for record_type in (*self.catalogue.record_types.values(), access_contract()):
            if record_type.id == name:
                return record_type
        known = ", ".join(sorted(self.catalogue.record_types))
        raise SettingError(f"the catalogue has no record type '{name}'", remedy=f"known are {known}")


def wire(environment: Mapping[str, str] = os.environ) -> Wiring:
    """The parts that the environment names; a running local stack fills in what it leaves open. Raises SettingError."""
    named = {**running_environment(environment), **environment}
    settings = read_settings(named)
    kafka = kafka_connection(settings.kafka_bootstrap, named)
    check_production(settings, kafka)
    catalogue = load_catalogue(Path(settings.catalogue) if settings.catalogue else None)
    return Wiring(
        settings=settings,
        catalogue=catalogue,
        registry=ConfluentSchemaRegistry(settings.schema_registry_url),
        kafka=kafka,
        pseudonymizer=Pseudonymizer(settings.domain_key_bytes, catalogue.national_id_scheme),
    )
