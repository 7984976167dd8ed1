"""A body that a contract takes, found from the contract alone: for examples that work as they are typed."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice, product
from typing import Any

import polars as pl

from producers.columns import Layout
from registry.contracts import RecordType
from registry.quality import Gate

TRIED_MAX = 4_096  # bodies that are tried for one rule; a rule that none of them keeps stays broken
_CANDIDATES: Mapping[str, Sequence[Any]] = {  # the first is taken unless a rule speaks against it
    "string": ("sample", "1234", "12", "1234567890", "123456"),
    "int": (1, 2, 0, 10, 1400, 2000),
    "long": (1, 2, 0, 10, 1_000_000),
    "double": (1.0, 0.0, 100.0),
    "boolean": (True, False),
    "date": (date(2026, 1, 31), date(2000, 1, 1)),
    "timestamp-micros": (datetime(2026, 1, 31, tzinfo=UTC),),
    "array": (["sample"], []),
}


def sample_body(record_type: RecordType) -> dict[str, Any]:
    """A body under which every rule of the contract holds, as far as a simple search finds one."""
    candidates = {field["name"]: _candidates(field["type"]) for field in record_type.body["fields"]}
    layout, gate = Layout(record_type), Gate(record_type)
    types = {name: layout.types[name] for name in candidates}
    body = {name: values[0] for name, values in candidates.items()}
    for rule in gate.rules.values():
        if _broken(gate, [body], types)[rule.id].any():
            named = [name for name in candidates if re.search(rf"\b{name}\b", rule.check)]
            others = islice(product(*(candidates[name] for name in named)), TRIED_MAX)
            tried = [{**body, **dict(zip(named, values, strict=True))} for values in others]
            counts = _broken(gate, tried, types).select(pl.sum_horizontal(pl.all().cast(pl.Int32))).to_series()
            body = tried[counts.arg_min() or 0]
    return body


def _broken(gate: Gate, bodies: Sequence[Mapping[str, Any]], types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return gate.broken(pl.DataFrame(list(bodies), schema=types))


def _candidates(avro_type: Any) -> Sequence[Any]:
    match avro_type:
        case ["null", inner]:
            return (None, *_candidates(inner))
        case {"type": "enum", "symbols": [*symbols]}:
            return symbols
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return _CANDIDATES[name]
    raise AssertionError("a contract has no other types")
