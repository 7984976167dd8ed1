"""What PostgreSQL refuses only when an expression meets data: one such value would fail a whole batch of answers."""

import re
from collections.abc import Iterator
from datetime import date, datetime

from sqlglot import exp

from registry.catalogue_kinds import LIST, NUMBER, SPAN, TEXT, TIME, TRUTH, kind_of, shown

_CALENDAR_PARTS = frozenset(
    {"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "ISODOW", "DOY", "EPOCH", "HOUR", "MINUTE"}
)
_SPANS = frozenset({"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})
_ENDS_VALUE = (exp.Cast, exp.Predicate, exp.Between, exp.In, exp.Count, exp.Extract)  # what is inside is not told
_Type = exp.DataType.Type
_INTEGERS = frozenset({_Type.INT, _Type.BIGINT})
# The types that a kind of value may be cast to without ever failing.
_CASTS = {
    TEXT: {_Type.TEXT},
    NUMBER: {_Type.TEXT, _Type.BIGINT, _Type.INT, _Type.DOUBLE},
    TRUTH: {_Type.TEXT, _Type.INT},
    TIME: {_Type.TEXT, _Type.DATE},
    LIST: {_Type.TEXT},
    SPAN: {_Type.TEXT},
}


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
            case exp.Round() if node.args.get("decimals"):
                yield f"'{shown(node)}' rounds to digits, which a double cannot; write round with one value"
        if is_value and not node.find_ancestor(*_ENDS_VALUE):
            yield from _untold(node)


def _untold(node: exp.Expr) -> Iterator[str]:
    text = shown(node)
    is_decimal = isinstance(node, exp.Literal) and not node.is_string and not str(node.this).isdigit()
    if is_decimal or isinstance(node, (exp.Sum, exp.Avg, exp.Extract)):
        yield f"'{text}' gives a decimal; write CAST({text} AS bigint) or CAST({text} AS double precision)"
    elif isinstance(node, exp.Anonymous) and kind_of(node) == SPAN:
        yield f"'{text}' gives a span of time; write CAST(extract(year from {text}) AS bigint)"


def _cast(node: exp.Cast) -> Iterator[str]:
    literal = node.this.this if isinstance(node.this, exp.Literal) and node.this.is_string else None
    kind, target = kind_of(node.this), node.to.this
    if literal is not None and target in (_Type.TIMESTAMPTZ, _Type.DATE):
        try:
            is_good = date.fromisoformat(literal) if target is _Type.DATE else datetime.fromisoformat(literal).tzinfo
        except ValueError:
            is_good = None
        if not is_good:
            yield f"'{literal}' is no such day or time; write DATE '2026-01-31' or TIMESTAMPTZ '2026-01-31T12:00:00Z'"
    elif kind is not None and target not in _CASTS[kind]:
        types = ", ".join(sorted(one.value.lower() for one in _CASTS[kind]))
        yield f"'{shown(node)}' may fail; {kind} casts to {types} only: write it so, or add a field to the contract"


def _division(node: exp.Binary) -> Iterator[str]:
    divisor = node.expression.unnest()
    is_number = isinstance(divisor, exp.Literal) and divisor.is_number and float(divisor.this) != 0
    is_null_at_zero = isinstance(divisor, exp.Nullif) and divisor.expression.sql() == "0"
    if not is_number and not is_null_at_zero:
        yield f"'{shown(node)}' fails where the divisor is 0; write nullif({shown(divisor)}, 0) for it"
    for side in (node.this, divisor):
        if isinstance(node, exp.Mod) and side.type is not None and side.type.this not in _INTEGERS:
            yield f"'{shown(node)}' has a side that is no whole number; write CAST({shown(side)} AS bigint)"


def _interval(node: exp.Interval) -> Iterator[str]:
    amount = node.this.this if isinstance(node.this, exp.Literal) else ""
    unit = node.args.get("unit")
    if not re.fullmatch(r"\d{1,4}", str(amount)) or unit is None or unit.name.upper().removesuffix("S") not in _SPANS:
        yield f"'{shown(node)}' is no span of time; write one such as INTERVAL '18 years'"


def _pattern(node: exp.Binary) -> Iterator[str]:
    if not isinstance(node.expression, exp.Literal):
        yield f"the pattern in '{shown(node)}' is no fixed text; write one"
    elif isinstance(node, exp.RegexpLike):
        try:
            re.compile(node.expression.this)
        except re.error as exc:
            yield f"the pattern '{node.expression.this}' is no regular expression ({exc}); correct it"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(name.lower() for name in names))
