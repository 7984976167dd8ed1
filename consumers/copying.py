"""Columns into PostgreSQL by binary COPY (PostgreSQL documentation, COPY, "Binary Format")."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import Connection, sql


def copy_bytes(rows: pl.DataFrame) -> bytes:
    """The rows as COPY takes them; a binary column of 16 bytes is a uuid as it is."""
    table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    header = encoder.write_header()  # the encoder counts its calls: header, batches, trailer
    batches = [encoder.write_batch(batch) for batch in table.to_batches()]
    return b"".join([header, *batches, encoder.finish()])


def copy(connection: Connection[Any], target: sql.Identifier, names: Sequence[str], encoded: bytes) -> None:
    """Writes encoded rows into the named columns of a table."""
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, listed)) as writing,
    ):
        writing.write(encoded)
