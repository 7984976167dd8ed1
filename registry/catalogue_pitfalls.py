"""What PostgreSQL refuses only when an expression meets data: one such value would fail a whole batch of answers."""

import re
from collections.abc import Iterator
from datetime import date, datetime

from sqlglot import exp

from registry.catalogue_kinds import NUMBER, TEXT, TIME, kind_of, shown

_CASTS = ("bigint", "double precision", "text", "date", "integer", "boolean")
_CALENDAR_PARTS = frozenset(
    {"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "ISODOW", "DOY", "EPOCH", "HOUR", "MINUTE"}
)
_SPANS = frozenset({"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})
# Where a decimal does not come out as one.
_ENDS_DECIMAL = (exp.Cast, exp.Predicate, exp.Between, exp.In, exp.Count)
_Type = exp.DataType.Type
_CAST_TYPES = frozenset({_Type.BIGINT, _Type.DOUBLE, _Type.TEXT, _Type.DATE, _Type.INT, _Type.BOOLEAN})


def pitfalls(root: exp.Expr, *, is_value: bool) -> Iterator[str]:
    """What may fail on some data, or, where the result is told as a value, would come out as a decimal or a span."""
    for node in root.walk():
        match node:
            case exp.Cast():
                yield from _cast(node)
            case exp.Div() | exp.Mod():
                yield from _division(node)
            case exp.Interval():
                yield from _interval(node)
            case exp.Extract() if node.name.upper() not in _CALENDAR_PARTS:
                yield f"'{node.name.lower()}' is no part of a date; write one of {_listed(_CALENDAR_PARTS)}"
            case exp.RegexpLike() | exp.Like() | exp.ILike():
                yield from _pattern(node)
        if is_value and _is_decimal(node) and not node.find_ancestor(*_ENDS_DECIMAL):
            text = shown(node)
            yield f"'{text}' gives a decimal; write CAST({text} AS bigint) or CAST({text} AS double precision)"
        if isinstance(node, exp.Anonymous) and node.name.lower() == "age" and not node.find_ancestor(exp.Extract):
            yield f"'{shown(node)}' gives a span of time; write extract(year from {shown(node)})"


def _cast(node: exp.Cast) -> Iterator[str]:
    literal = node.this.this if isinstance(node.this, exp.Literal) else None
    kind = node.to.this
    if kind in (_Type.TIMESTAMPTZ, _Type.DATE) and literal is not None:
        try:
            is_good = date.fromisoformat(literal) if kind is _Type.DATE else datetime.fromisoformat(literal).tzinfo
        except ValueError:
            is_good = None
        if not is_good:
            yield f"'{literal}' is no such day or time; write DATE '2026-01-31' or TIMESTAMPTZ '2026-01-31T12:00:00Z'"
    elif kind not in _CAST_TYPES:
        yield f"'{shown(node)}' casts to another type than {', '.join(_CASTS)}; write one of them"
    elif literal is None and kind_of(node.this) == TEXT and kind_of(node) != TEXT:
        yield f"'{shown(node)}' fails on a text that is none; add a field of that type to the contract"
    elif kind_of(node.this) == NUMBER and kind_of(node) == TIME:
        yield f"'{shown(node)}' makes a day of a number; write DATE '2026-01-31'"


def _division(node: exp.Binary) -> Iterator[str]:
    divisor = node.expression.unnest()
    is_number = isinstance(divisor, exp.Literal) and divisor.is_number and float(divisor.this) != 0
    is_null_at_zero = isinstance(divisor, exp.Nullif) and divisor.expression.sql() == "0"
    if not is_number and not is_null_at_zero:
        yield f"'{shown(node)}' fails where the divisor is 0; write nullif({shown(divisor)}, 0) for it"


def _interval(node: exp.Interval) -> Iterator[str]:
    amount = node.this.this if isinstance(node.this, exp.Literal) else ""
    unit = node.args.get("unit")
    if not re.fullmatch(r"\d{1,6}", str(amount)) or unit is None or unit.name.upper().removesuffix("S") not in _SPANS:
        yield f"'{shown(node)}' is no span of time; write one such as INTERVAL '18 years'"


def _pattern(node: exp.Binary) -> Iterator[str]:
    if not isinstance(node.expression, exp.Literal):
        yield f"the pattern in '{shown(node)}' is no fixed text; write one"
    elif isinstance(node, exp.RegexpLike):
        try:
            re.compile(node.expression.this)
        except re.error as exc:
            yield f"the pattern '{node.expression.this}' is no regular expression ({exc}); correct it"


def _is_decimal(node: exp.Expr) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string and not str(node.this).isdigit()
    return isinstance(node, (exp.Sum, exp.Avg, exp.Extract))


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(name.lower() for name in names))
