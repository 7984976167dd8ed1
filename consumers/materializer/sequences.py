"""What each source has sent: the guard against repeats, and the count that shows a lost event.

A source numbers its events densely from 1 and sends them in order. So an event whose sequence is above all that its
source sent before to this partition is new; any other is a suspect, and is looked up before it is written.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl
from psycopg import Connection

from consumers.views import statement

_STREAM = ["partition", "source"]
_HIGHEST = pl.Schema({"partition": pl.Int32, "source": pl.String, "highest": pl.Int64})


class Sequences:
    """The highest sequence of each source, for the partitions of one view that this process owns."""

    def __init__(self, view: str) -> None:
        self._view = view
        self._highest = pl.DataFrame(schema=_HIGHEST)

    def load(self, connection: Connection[Any], partition: int) -> None:
        """Takes what is committed for a partition that has become ours."""
        rows = connection.execute(
            "SELECT partition, source, highest_sequence FROM yekbar.sources WHERE view = %s AND partition = %s",
            (self._view, partition),
        ).fetchall()
        self.forget(partition)
        self._highest = pl.concat([self._highest, pl.DataFrame(rows, schema=_HIGHEST, orient="row")])

    def forget(self, partition: int) -> None:
        """Leaves a partition that is ours no more."""
        self._highest = self._highest.filter(pl.col("partition") != partition)

    def mark(self, events: pl.DataFrame) -> pl.DataFrame:
        """The events with a column `is_suspect`; from now on they count as sent before."""
        if not events.height:
            return events.with_columns(is_suspect=pl.lit(value=False))
        marked = events.join(self._highest, on=_STREAM, how="left", maintain_order="left").with_columns(
            before=pl.col("sequence").cum_max().shift(1).over(_STREAM)
        )
        sent = events.group_by(_STREAM).agg(highest=pl.col("sequence").max())
        both = pl.concat([self._highest, sent.select(_HIGHEST.names())])
        self._highest = both.group_by(_STREAM).agg(pl.col("highest").max()).select(_HIGHEST.names())
        is_suspect = pl.col("sequence") <= pl.max_horizontal("before", "highest")
        return marked.with_columns(is_suspect=is_suspect.fill_null(value=False)).drop("before", "highest")


def count(connection: Connection[Any], view: str, events: pl.DataFrame, repeats: Iterable[tuple[int, int]]) -> None:
    """Adds a batch to the counts of its sources, in the caller's transaction.

    A sequence that is new counts, whatever became of its event; one that may have been there before counts only where
    its event was new after all.
    """
    if not events.height:
        return
    places = pl.DataFrame(list(repeats), schema={"partition": pl.Int32, "position": pl.Int64}, orient="row")
    marked = events.join(places.with_columns(is_repeat=pl.lit(value=True)), on=["partition", "position"], how="left")
    was_new = pl.col("reason").is_null() & pl.col("is_repeat").is_null()
    counted = ~pl.col("is_suspect") | was_new
    grouped = marked.group_by(_STREAM).agg(
        pl.col("sequence").max().alias("highest"),
        counted.sum().alias("received"),
        pl.col("recorded_at").max(),
        pl.col("known_at").max(),
    )
    connection.execute(
        statement("sources_count.sql"),
        {
            "view": view,
            "sources": grouped["source"].to_list(),
            "partitions": grouped["partition"].to_list(),
            "highest": grouped["highest"].to_list(),
            "received": grouped["received"].to_list(),
            "recorded_at": grouped["recorded_at"].to_list(),
            "known_at": grouped["known_at"].to_list(),
        },
    )
