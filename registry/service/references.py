"""Follows references: from the versions that a schema names to the texts whose types it uses."""

from collections.abc import Sequence
from dataclasses import replace

from registry.compatibility import AvroText
from registry.service.avro_schemas import Reference
from registry.service.errors import ApiError, invalid_schema
from registry.service.store import Tables, Version
from registry.service.versions import chosen

REFERENCES_MAX = 200  # of one schema, with all that they refer to themselves; also how deep they may lead


def pinned(tables: Tables, references: Sequence[Reference], *, with_deleted: bool) -> tuple[Reference, ...]:
    """The references with the numbers that they stand for (-1 is the latest). Raises ApiError for one to nowhere."""
    return tuple(
        replace(reference, version=_version(tables, reference, with_deleted=with_deleted).number)
        for reference in references
    )


def avro_text(tables: Tables, text: str, references: Sequence[Reference]) -> AvroText:
    """A schema with everything that it uses."""
    return AvroText(schema=text, references=used_texts(tables, references))


def used_texts(tables: Tables, references: Sequence[Reference]) -> tuple[str, ...]:
    """The texts of what references lead to, directly or not: each once, after those that it uses itself."""
    texts: dict[tuple[str, int], str | None] = {}

    def follow(references: Sequence[Reference]) -> None:
        for reference in references:
            place = (reference.subject, reference.version)
            if place in texts:
                continue
            if len(texts) >= REFERENCES_MAX:
                raise invalid_schema(f"Invalid schema: it refers to more than {REFERENCES_MAX} schemas")
            schema = tables.schema_of(_version(tables, reference, with_deleted=True))
            texts[place] = None  # begun: what leads back here does not begin again
            follow(schema.references)
            del texts[place]
            texts[place] = schema.text

    follow(references)
    return tuple(text for text in texts.values() if text is not None)


def _version(tables: Tables, reference: Reference, *, with_deleted: bool) -> Version:
    subject, number = reference.subject, reference.version
    try:
        return chosen(tables.versions(subject), subject, number, with_deleted=with_deleted)
    except ApiError:
        raise invalid_schema(
            f"Invalid schema: No schema reference found for subject '{subject}' and version {number}"
        ) from None
