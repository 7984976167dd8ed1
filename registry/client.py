"""The schema registry as its users see it: ours or any Confluent-compatible one by URL, and a twin in memory."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from httpx2 import HTTPError

from registry.errors import IncompatibleError, RegistryUnavailableError, UnknownSchemaError

NOT_FOUND = 404
CONFLICT = 409
SERVER_ERROR = 500


class SchemaRegistry(Protocol):
    """Schemas by id, and the ids of a subject name. Every call may raise RegistryUnavailableError."""

    def register(self, subject_name: str, schema: Mapping[str, Any]) -> int:
        """The schema's id under a subject name, given to it now or before. Raises IncompatibleError."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id. Raises UnknownSchemaError."""

    def subject_names(self, schema_id: int) -> frozenset[str]:
        """The subject names that have a schema. Raises UnknownSchemaError."""


class ConfluentSchemaRegistry:
    """A registry that speaks the Confluent Schema Registry REST API."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = SchemaRegistryClient({"url": url, "max.retries": 1})

    def register(self, subject_name: str, schema: Mapping[str, Any]) -> int:
        """See SchemaRegistry."""
        try:
            return int(self._client.register_schema(subject_name, Schema(json.dumps(schema), "AVRO")))
        except (SchemaRegistryError, HTTPError, OSError) as exc:
            raise self._translated(exc, f"subject name '{subject_name}'") from exc

    def schema(self, schema_id: int) -> dict[str, Any]:
        """See SchemaRegistry."""
        try:
            text = self._client.get_schema(schema_id).schema_str
        except (SchemaRegistryError, HTTPError, OSError) as exc:
            raise self._translated(exc, f"schema id {schema_id}") from exc
        parsed: dict[str, Any] = json.loads(text or "null")
        return parsed

    def subject_names(self, schema_id: int) -> frozenset[str]:
        """See SchemaRegistry."""
        try:
            versions = self._client.get_schema_versions(schema_id)
        except (SchemaRegistryError, HTTPError, OSError) as exc:
            raise self._translated(exc, f"schema id {schema_id}") from exc
        return frozenset(str(version.subject) for version in versions)

    def _translated(self, exc: Exception, asked: str) -> Exception:
        status = exc.http_status_code if isinstance(exc, SchemaRegistryError) else SERVER_ERROR
        if status == NOT_FOUND:
            return UnknownSchemaError(f"the schema registry knows no {asked}", remedy="run 'yekbar catalogue apply'")
        if status == CONFLICT:
            return IncompatibleError(f"the schema registry refuses the schema for {asked}: {exc}")
        return RegistryUnavailableError(
            f"the schema registry at {self._url} does not answer for {asked}: {type(exc).__name__}",
            remedy="check SCHEMA_REGISTRY_URL, or start one with 'yekbar registry'",
        )


class InMemorySchemaRegistry:
    """A registry in one process, for tests and for replays without a service; it takes every change."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, str] = {}
        self._subject_names: dict[int, set[str]] = {}

    def register(self, subject_name: str, schema: Mapping[str, Any]) -> int:
        """See SchemaRegistry."""
        text = json.dumps(schema, sort_keys=True)
        schema_id = self._ids.setdefault(text, len(self._ids) + 1)
        self._schemas[schema_id] = text
        self._subject_names.setdefault(schema_id, set()).add(subject_name)
        return schema_id

    def schema(self, schema_id: int) -> dict[str, Any]:
        """See SchemaRegistry."""
        self._known(schema_id)
        parsed: dict[str, Any] = json.loads(self._schemas[schema_id])
        return parsed

    def subject_names(self, schema_id: int) -> frozenset[str]:
        """See SchemaRegistry."""
        self._known(schema_id)
        return frozenset(self._subject_names[schema_id])

    def _known(self, schema_id: int) -> None:
        if schema_id not in self._schemas:
            raise UnknownSchemaError(f"the schema registry knows no schema id {schema_id}")
