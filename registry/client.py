"""The schema registry as its users see it: ours or any Confluent-compatible one by URL, and a twin in memory."""

import json
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError
from httpx2 import HTTPError, InvalidURL

from registry.avro_identity import compact, identity
from registry.errors import (
    ContractError,
    IncompatibleError,
    RegistryError,
    RegistryUnavailableError,
    UnknownSchemaError,
)

NOT_FOUND = 404
TIMEOUT = 408
CONFLICT = 409
UNPROCESSABLE = 422
TOO_MANY = 429
SERVER_ERROR = 500

# A call ends within twice the timeout and one wait, also when the service takes calls and never answers.
TIMEOUT_S = 5
RETRIES = 1
RETRY_WAIT_MS = 200


class SchemaRegistry(Protocol):
    """Schemas by id, and the ids of a subject name. Every call may raise RegistryUnavailableError."""

    def register(self, subject_name: str, schema: Mapping[str, Any]) -> int:
        """The schema's id under a subject name, given to it now or before. Raises IncompatibleError, ContractError."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id. Raises UnknownSchemaError."""

    def subject_names(self, schema_id: int) -> frozenset[str]:
        """The subject names that have a schema. Raises UnknownSchemaError."""


class ConfluentSchemaRegistry:
    """A registry that speaks the Confluent Schema Registry REST API."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = SchemaRegistryClient(
            {
                "url": url,
                "timeout": TIMEOUT_S,
                "max.retries": RETRIES,
                "retries.wait.ms": RETRY_WAIT_MS,
                "retries.max.wait.ms": RETRY_WAIT_MS,
            }
        )
        # Who lets the registry go lets its connections go, at the latest when the process ends.
        self.close = weakref.finalize(self, self._client.close)

    def register(self, subject_name: str, schema: Mapping[str, Any]) -> int:
        """See SchemaRegistry."""
        with self._translated(f"subject name '{subject_name}'"):
            return int(self._client.register_schema(subject_name, Schema(json.dumps(schema), "AVRO")))

    def schema(self, schema_id: int) -> dict[str, Any]:
        """See SchemaRegistry."""
        with self._translated(f"schema id {schema_id}"):
            parsed: dict[str, Any] = json.loads(self._client.get_schema(schema_id).schema_str or "")
            return parsed

    def subject_names(self, schema_id: int) -> frozenset[str]:
        """See SchemaRegistry."""
        with self._translated(f"schema id {schema_id}"):
            return frozenset(str(version.subject) for version in self._client.get_schema_versions(schema_id))

    @contextmanager
    def _translated(self, asked: str) -> Iterator[None]:
        try:
            yield
        except SchemaRegistryError as exc:
            raise self._refusal(exc, asked) from exc
        except (HTTPError, InvalidURL, OAuthTokenError, OSError) as exc:
            raise self._unavailable(asked, type(exc).__name__) from exc
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            # The client takes the answer for what a registry would say; another service says something else.
            raise RegistryError(
                f"what answers at {self._url} for {asked} does not speak the schema registry API",
                remedy="check SCHEMA_REGISTRY_URL",
            ) from exc

    def _refusal(self, exc: SchemaRegistryError, asked: str) -> RegistryError:
        status, said = exc.http_status_code, exc.error_message
        if status >= SERVER_ERROR or status in (TIMEOUT, TOO_MANY):
            return self._unavailable(asked, f"status {status}, {said}")
        if status == NOT_FOUND:
            return UnknownSchemaError(f"the schema registry knows no {asked}", remedy="run 'yekbar catalogue apply'")
        if status == CONFLICT:
            return IncompatibleError(f"the schema registry refuses the schema for {asked}: {said}")
        if status == UNPROCESSABLE:
            return ContractError(f"the schema registry refuses the schema for {asked}: {said}")
        return RegistryError(f"the schema registry refuses {asked} with status {status}: {said}")

    def _unavailable(self, asked: str, why: str) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"the schema registry at {self._url} does not answer for {asked}: {why}",
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
        schema_id = self._ids.setdefault(compact(identity(dict(schema))), len(self._ids) + 1)
        self._schemas.setdefault(schema_id, compact(dict(schema)))
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
