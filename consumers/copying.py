"""Rows in columns to PostgreSQL: Arrow to the bytes of binary COPY, with no Python object for a row."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import Connection, sql


def copy_bytes(rows: pl.DataFrame) -> bytes:
    """The rows as a binary COPY takes them; 16-byte binaries are uuids as they are."""
    table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    header = encoder.write_header()  # the encoder counts its calls: header, batches, trailer
    batches = [encoder.write_batch(batch) for batch in table.to_batches()]
    return b"".join([header, *batches, encoder.finish()])


def copy_into(connection: Connection[Any], target: sql.Identifier, names: Sequence[str], encoded: bytes) -> None:
    """Writes encoded rows into the named columns of a table, in the caller's transaction."""
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, listed)) as copy,
    ):
        copy.write(encoded)
