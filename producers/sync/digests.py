"""Digests: keys of rows, what rows say, and ids of events, each as 16 bytes under a key of their own.

A digest is of what the row says in the contract's types, so it is the same when a column changes its type and still
says the same. Without the domain key no digest can be guessed from a person's id.
"""

import hashlib
from collections.abc import Iterable, Sequence

import polars as pl
import pyarrow.compute as pc

from bus.columns import HAS_BODY
from bus.subject import Pseudonymizer
from producers.avro_coding import counted
from producers.desk import GIVEN
from producers.encoding import arrow_of, avro_parts, joined, scalar
from producers.reading import folded_digits
from producers.sync.mapping import MADE_HERE
from registry.contracts import RecordType

DIGEST_BYTES = 16
_TEXTS = {"type": "array", "items": "string"}
_ENVELOPE = {  # the Avro types of what a row may say beside its body; when it was recorded is not what it says
    "national_id": "string",
    "record_key": "string",
    "effective_from": "long",
    "effective_to": "long",
    "under_investigation": _TEXTS,
}
assert set(_ENVELOPE) | set(MADE_HERE) | {"recorded_at", HAS_BODY} == set(GIVEN), "every field is in a digest or not"


class Digests:
    """Makes the digests of one source."""

    def __init__(self, record_type: RecordType, *, source: str, pseudonymizer: Pseudonymizer) -> None:
        secret = pseudonymizer.pseudonym(f"yekbar sync {source}")
        body = {field["name"]: _not_null(field["type"]) for field in record_type.body["fields"]}
        self._types = {**_ENVELOPE, **dict(sorted(body.items()))}
        marks = {"key": b"row key", "row": b"row content", "event": b"event id"}
        self._hashes = {
            name: hashlib.blake2b(digest_size=DIGEST_BYTES, key=secret, person=mark) for name, mark in marks.items()
        }
        self.check = self._hashes["row"].copy().digest()

    def keys(self, texts: Sequence[pl.Series]) -> pl.Series:
        """The keys of rows, from the texts of what makes them; null where one of them is."""
        numbered = [text.alias(str(place)) for place, text in enumerate(texts)]
        counted_texts = [pl.concat_str(pl.col(one.name).str.len_bytes(), pl.lit(":"), one.name) for one in numbered]
        whole = pl.DataFrame(numbered).select(pl.concat_str(counted_texts)).to_series()
        return pl.Series("key", self._of("key", arrow_of(whole.cast(pl.Binary)).to_pylist()), pl.Binary)

    def rows(self, changes: pl.DataFrame) -> pl.Series:
        """What each row says, as the mapper read it."""
        parts = []
        for name, avro_type in self._types.items():
            if name not in changes.columns:
                continue
            column = folded_digits(changes[name]) if name == "national_id" else changes[name]
            arrow = arrow_of(column)
            tag = scalar(counted(name.encode()))
            parts.append(tag if arrow.null_count == 0 else pc.if_else(pc.is_valid(arrow), tag, scalar(None)))
            parts += avro_parts(avro_type, arrow)
        return pl.Series("digest", self._of("row", joined(parts).to_pylist()), pl.Binary)

    def event_id(self, key: bytes, digest: bytes, *, version: int, place: int) -> bytes:
        """The id of an event: a UUID of version 8, for it is made from content.

        A row that says again what it said before has another version, and so another id.
        """
        hashed = self._hashes["event"].copy()
        hashed.update(key + digest + version.to_bytes(8, "big") + place.to_bytes(4, "big"))
        made = bytearray(hashed.digest())
        made[6] = made[6] & 0x0F | 0x80
        made[8] = made[8] & 0x3F | 0x80
        return bytes(made)

    def _of(self, name: str, contents: Iterable[bytes | None]) -> list[bytes | None]:
        fresh = self._hashes[name]
        made: list[bytes | None] = []
        for content in contents:
            if content is None:
                made.append(None)
                continue
            hashed = fresh.copy()
            hashed.update(content)
            made.append(hashed.digest())
        return made


def _not_null(avro_type: object) -> object:
    """The type of values that are there, and of a symbol its text: its place may change with the contract."""
    if isinstance(avro_type, list):
        return _not_null(avro_type[1])
    return "string" if isinstance(avro_type, dict) and avro_type["type"] == "enum" else avro_type
