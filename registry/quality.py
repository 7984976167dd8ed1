"""Quality rules: evaluated in columns, by the same code before the send and behind the log."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from registry.contracts import QualityRule, RecordType

HAS_BODY = "has_body"  # the decoder's column for events without a body; a frame that lacks it has bodies only

_DTYPES: Mapping[str, tuple[pl.DataType, Any]] = {  # with a value to try a rule on
    "string": (pl.String(), "1"),
    "int": (pl.Int32(), 1),
    "long": (pl.Int64(), 1),
    "boolean": (pl.Boolean(), True),
    "double": (pl.Float64(), 1.0),
    "date": (pl.Date(), date(2000, 1, 1)),
    "timestamp-micros": (pl.Datetime("us", "UTC"), datetime(2000, 1, 1, tzinfo=UTC)),
    "enum": (pl.String(), "1"),
    "array": (pl.List(pl.String()), ["1"]),
}


class Gate:
    """A record type's own quality rules, ready to be evaluated over frames that have the body's columns.

    Rules across registers are not among them: no event says what another register knows.
    A column that an older event lacks counts as null. What a broken rule means is the caller's affair.
    """

    def __init__(self, record_type: RecordType) -> None:
        own = [rule for rule in record_type.rules if rule.known_in is None]
        self.rules: Mapping[str, QualityRule] = {rule.id: rule for rule in own}
        self._dtypes = {field["name"]: _dtype(field["type"])[0] for field in record_type.body["fields"]}
        self._broken = [pl.sql_expr(rule.check).not_().fill_null(value=False).alias(rule.id) for rule in own]

    def broken(self, frame: pl.DataFrame) -> pl.DataFrame:
        """One boolean column for each rule, by its id: true for the rows that break it, never null.

        Null counts as kept, and a row without a body breaks no rule.
        """
        lacking = [pl.lit(None, dtype).alias(name) for name, dtype in self._dtypes.items() if name not in frame.columns]
        masks = frame.with_columns(lacking).select(self._broken) if self._broken else pl.DataFrame()
        if HAS_BODY not in frame.columns or not masks.width:
            return masks
        return masks.select(pl.all() & frame[HAS_BODY])


def evaluation_fault(body: Mapping[str, Any], check: str) -> str | None:
    """Why a rule cannot be evaluated in columns, tried on a row of values and on a row of nulls; None when it can."""
    columns = {field["name"]: _dtype(field["type"]) for field in body["fields"]}
    schema = {name: dtype for name, (dtype, _) in columns.items()}
    rows = [{name: value for name, (_, value) in columns.items()}, dict.fromkeys(columns)]
    try:
        masks = pl.DataFrame(rows, schema=schema).select(pl.sql_expr(check).alias("kept"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        return str(exc).strip().partition("\n")[0].lower()
    if masks.height != len(rows):
        return "it does not give one result for each row"
    if masks.dtypes[0] not in (pl.Boolean(), pl.Null()):
        return f"it gives {str(masks.dtypes[0]).lower()}, not true or false"
    return None


def _dtype(avro_type: Any) -> tuple[pl.DataType, Any]:
    """The column type that the decoder yields for a body field, with a value to try."""
    match avro_type:
        case ["null", inner]:
            return _dtype(inner)
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return _DTYPES[name]
    raise AssertionError(f"the catalogue let a column type through that frames cannot hold: {avro_type}")
