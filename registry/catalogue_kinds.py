"""Kinds of values in a catalogue's expressions: text, numbers, truth, time; each operator takes its own kinds.

PostgreSQL would refuse the same, but only when an answer is asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from registry.catalogue_entry import meant

_SQL_TYPES: Mapping[str, str] = {
    "string": "text",
    "int": "integer",
    "long": "bigint",
    "boolean": "boolean",
    "double": "double precision",
    "date": "date",
    "timestamp-micros": "timestamptz",
    "enum": "text",
    "array": "text[]",
}
TEXT, NUMBER, TRUTH, TIME, LIST = "text", "a number", "true or false", "a date or time", "a list"
SPAN = "a span of time"
_BOTH_TEXT = {"this": (TEXT,), "expression": (TEXT,)}
_BOTH_NUMBERS = {"this": (NUMBER,), "expression": (NUMBER,)}
_BOTH_TRUTHS = {"this": (TRUTH,), "expression": (TRUTH,)}
# Which kinds each operator and function takes, by the part of it.
_TAKES: Mapping[type[exp.Expr], Mapping[str, tuple[str, ...]]] = {
    operator: places
    for operators, places in (
        ((exp.And, exp.Or), _BOTH_TRUTHS),
        ((exp.Not, exp.If, exp.Where, exp.LogicalOr, exp.LogicalAnd), {"this": (TRUTH,)}),
        ((exp.Like, exp.ILike, exp.RegexpLike, exp.DPipe, exp.StartsWith, exp.Trim), _BOTH_TEXT),
        ((exp.Lower, exp.Upper, exp.Length, exp.GroupConcat), {"this": (TEXT,)}),
        ((exp.Left, exp.Right), {"this": (TEXT,), "expression": (NUMBER,)}),
        ((exp.Substring,), {"this": (TEXT,), "start": (NUMBER,), "length": (NUMBER,)}),
        ((exp.Mul, exp.Div, exp.Mod), _BOTH_NUMBERS),
        ((exp.Sum, exp.Avg, exp.Neg, exp.Abs, exp.Round), {"this": (NUMBER,)}),
        ((exp.Max, exp.Min), {"this": (TEXT, NUMBER, TIME)}),
        ((exp.Extract,), {"expression": (TIME, SPAN)}),
        ((exp.Any,), {"this": (LIST,)}),
    )
    for operator in operators
}
_TWO_SIDED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """The PostgreSQL type of a column, and its values where the contract lists them."""

    sql: str
    symbols: frozenset[str] = field(default=frozenset())


def column_type(avro_type: Any) -> ColumnType:
    """The type of the column that a body field becomes."""
    match avro_type:
        case ["null", inner]:
            return column_type(inner)
        case {"type": "enum", "symbols": symbols}:
            return ColumnType(sql=_SQL_TYPES["enum"], symbols=frozenset(symbols))
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return ColumnType(sql=_SQL_TYPES.get(name, "unknown"))
    return ColumnType(sql="unknown")


def kind_problems(root: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]]) -> Iterator[str]:
    """What stands where another kind must, and literals that an enumerated column can never hold."""
    for node in root.walk():
        for place, wanted in _TAKES.get(type(node), {}).items():
            yield from _taken(node.args.get(place), wanted, node)
        alike = _alike(node)
        for other in alike[1:]:
            yield from _comparison(alike[0], other)
            if not isinstance(node, (exp.Coalesce, exp.Case)):
                yield from _symbols(alike[0], other, columns)
                yield from _symbols(other, alike[0], columns)
        if isinstance(node, (exp.Add, exp.Sub)):
            yield from _sum(node)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
            yield from _taken(node.this, (TRUTH,), node)
        if isinstance(node, exp.Anonymous):  # age, the only function that the parser has no class for
            for value in node.expressions:
                yield from _taken(value, (TIME,), node)


def kind_of(node: exp.Expr) -> str | None:
    """The kind of a typed node; None when it is not known, or null."""
    bare, kind = node.unnest(), node.type
    if isinstance(bare, (exp.Interval, exp.Anonymous)):
        return SPAN
    if kind is None or isinstance(bare, exp.Any):
        return None
    if kind.this in exp.DataType.TEXT_TYPES:
        return TEXT
    if kind.this in exp.DataType.NUMERIC_TYPES:
        return NUMBER
    if kind.this in exp.DataType.TEMPORAL_TYPES:
        return TIME
    return {exp.DataType.Type.BOOLEAN: TRUTH, exp.DataType.Type.ARRAY: LIST}.get(kind.this)


def shown(node: exp.Expr) -> str:
    """The expression as a message shows it."""
    text: str = node.sql("postgres", normalize_functions="lower", comments=False).replace("_.", "")
    return text if len(text) <= 60 else text[:60] + "…"


def _alike(node: exp.Expr) -> list[exp.Expr]:
    """The values that a node compares or chooses from, which must all be of one kind."""
    match node:
        case exp.In() | exp.Coalesce() | exp.Greatest() | exp.Least():
            return [node.this, *node.expressions]
        case exp.Between():
            return [node.this, node.args["low"], node.args["high"]]
        case exp.Case():
            values = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")]
            return [value for value in values if value is not None]
        case exp.Nullif() | exp.Binary() if isinstance(node, (exp.Nullif, *_TWO_SIDED)):
            return [node.this, node.expression]
    return []


def _comparison(left: exp.Expr, right: exp.Expr) -> Iterator[str]:
    if isinstance(right, exp.Any):
        yield from _taken(left, (TEXT,), right)
        return
    kinds = {kind_of(left), kind_of(right)} - {None}
    texts = [side for side in (left, right) if isinstance(side, exp.Literal) and side.is_string]
    if kinds == {TIME, TEXT} and texts:
        yield f"compares a date or time with the text {shown(texts[0])}; write DATE {shown(texts[0])}"
    elif len(kinds) > 1:
        yield f"compares {_told(left)} with {_told(right)}; write both of one kind"


def _sum(node: exp.Binary) -> Iterator[str]:
    kinds = (kind_of(node.this), kind_of(node.expression))
    if kinds == (TIME, NUMBER):
        yield f"'{shown(node)}' adds a number to a time; write INTERVAL '{shown(node.expression)} days' for it"
    elif None not in kinds and kinds not in ((NUMBER, NUMBER), (TIME, SPAN)):
        sides = f"{_told(node.this)} and {_told(node.expression)}"
        yield f"adds or subtracts {sides}; write two numbers, or a time and an INTERVAL"


def _symbols(column: exp.Expr, literal: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]]) -> Iterator[str]:
    if not isinstance(column, exp.Column) or not isinstance(literal, exp.Literal):
        return
    symbols = columns["" if column.table == "_" else column.table][column.name].symbols
    if symbols and literal.this not in symbols:
        yield f"{shown(column)} never is {shown(literal)}; {meant(literal.this, symbols)}"


def _taken(operand: Any, wanted: tuple[str, ...], node: exp.Expr) -> Iterator[str]:
    if isinstance(operand, exp.Expr) and kind_of(operand) not in (None, *wanted):
        yield f"{_told(operand)} stands where {' or '.join(wanted)} must; write '{shown(node)}' otherwise"


def _told(node: exp.Expr) -> str:
    return f"{shown(node)} ({kind_of(node)})"
