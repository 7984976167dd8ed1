"""The bodies that the API takes. Members that are unknown are passed over, as Confluent's registry does for clients."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from registry.service.avro_schemas import Reference
from registry.service.errors import invalid_rule_set, invalid_schema
from registry.service.http import Call
from registry.service.registering import Candidate

INT_MAX = 2**31 - 1
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)


class ReferenceBody(_Body):
    """One reference of a schema."""

    name: str = Field(pattern=PRINTABLE)
    subject: str = Field(pattern=PRINTABLE)
    version: int = Field(le=INT_MAX)


class SchemaBody(_Body):
    """A schema that is to be registered, found or compared."""

    text: str | None = Field(alias="schema", default=None)
    schema_type: str | None = Field(alias="schemaType", default=None)
    references: list[ReferenceBody] | None = None
    id: int | None = Field(default=None, ge=-1, le=INT_MAX)
    version: int | None = Field(default=None, ge=-1, le=INT_MAX)
    metadata: dict[str, Any] | None = None
    rule_set: dict[str, Any] | None = Field(alias="ruleSet", default=None)

    def candidate(self, call: Call) -> Candidate:
        """What the body and the query mean. Raises ApiError for what the registry does not keep."""
        if self.schema_type not in (None, "", "AVRO"):
            raise invalid_schema(f"Invalid schema type {self.schema_type}: this registry keeps AVRO schemas")
        if not self.text or not self.text.strip():
            raise invalid_schema("Invalid schema: it is empty")
        if self.rule_set:
            raise invalid_rule_set()
        if self.metadata:
            raise invalid_schema("Invalid schema: metadata is not supported, send the schema without it")
        return Candidate(
            text=self.text,
            references=tuple(
                Reference(name=reference.name, subject=reference.subject, version=reference.version)
                for reference in self.references or ()
            ),
            id=None if self.id in (None, -1) else self.id,
            version=None if self.version in (None, 0, -1) else self.version,
            is_normalized=call.says("normalize"),
            is_forced=call.says("force"),
        )


class ConfigBody(_Body):
    """What is to be set for a subject name, or for all. Data rules, metadata, groups and aliases are not kept."""

    model_config = ConfigDict(extra="forbid")

    compatibility: str | None = Field(
        default=None, validation_alias=AliasChoices("compatibility", "compatibilityLevel")
    )
    normalize: bool | None = None


class ModeBody(_Body):
    """The mode that is to be set."""

    mode: str
