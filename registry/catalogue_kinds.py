"""Kinds of values in a catalogue's expressions: text, numbers, truth, time; like is only compared with like."""

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
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
# What the operands of an operator must be.
_WANTED: Mapping[type[exp.Expr], tuple[str, ...]] = {
    exp.And: (TRUTH,),
    exp.Or: (TRUTH,),
    exp.Not: (TRUTH,),
    exp.LogicalOr: (TRUTH,),
    exp.LogicalAnd: (TRUTH,),
    exp.Like: (TEXT,),
    exp.ILike: (TEXT,),
    exp.RegexpLike: (TEXT,),
    exp.Lower: (TEXT,),
    exp.Upper: (TEXT,),
    exp.Length: (TEXT,),
    exp.Sum: (NUMBER,),
    exp.Avg: (NUMBER,),
    exp.Neg: (NUMBER,),
    exp.Mul: (NUMBER,),
    exp.Div: (NUMBER,),
    exp.Mod: (NUMBER,),
    exp.Add: (NUMBER, TIME),
    exp.Sub: (NUMBER, TIME),
}


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
    """What is compared or joined with another kind, and literals that an enumerated column can never hold."""
    for node in root.walk():
        if isinstance(node, _COMPARISONS):
            yield from _comparison(node.this, [node.expression], columns)
        elif isinstance(node, exp.In):
            yield from _comparison(node.this, node.expressions, columns)
        elif isinstance(node, exp.Between):
            yield from _comparison(node.this, [node.args["low"], node.args["high"]], columns)
        elif type(node) in _WANTED:
            yield from _operands(node, _WANTED[type(node)])


def _comparison(
    left: exp.Expr, rights: list[exp.Expr], columns: Mapping[str, Mapping[str, ColumnType]]
) -> Iterator[str]:
    for right in rights:
        kinds = {kind_of(left), kind_of(right)} - {None}
        texts = [side for side in (left, right) if isinstance(side, exp.Literal) and side.is_string]
        if kinds == {TIME, TEXT} and texts:
            yield f"compares a date or time with the text {shown(texts[0])}; write DATE {shown(texts[0])}"
        elif len(kinds) > 1:
            yield f"compares {_told(left)} with {_told(right)}; write both of one kind"
        for column, literal in ((left, right), (right, left)):
            yield from _symbols(column, literal, columns)


def _symbols(column: exp.Expr, literal: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]]) -> Iterator[str]:
    if not isinstance(column, exp.Column) or not isinstance(literal, exp.Literal):
        return
    symbols = columns["" if column.table == "_" else column.table][column.name].symbols
    if symbols and literal.this not in symbols:
        yield f"{shown(column)} never is {shown(literal)}; {meant(literal.this, symbols)}"


def _operands(node: exp.Expr, wanted: tuple[str, ...]) -> Iterator[str]:
    for operand in (node.args.get("this"), node.args.get("expression")):
        if isinstance(operand, exp.Expr) and kind_of(operand) not in (None, *wanted):
            yield f"{_told(operand)} stands where {' or '.join(wanted)} must; write '{shown(node)}' otherwise"


def kind_of(node: exp.Expr) -> str | None:
    """The kind of a typed node; None when it is not known, or null."""
    kind = node.type
    if kind is None or isinstance(node, exp.Any):
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


def _told(node: exp.Expr) -> str:
    return f"{shown(node)} ({kind_of(node)})"
