"""SQL expressions of a catalogue: what claims and quality rules may say, checked before anything runs them.

An expression is one PostgreSQL expression without a query. It may name columns, literals (also `DATE '2026-01-31'` and
`INTERVAL '1 day'`), the operators of `_OPERATORS`, casts that cannot fail, the functions of `SCALARS` and, where one
value is told of many records, those of `AGGREGATES`. Nothing that depends on the clock, on a setting or on chance may
stand in it: the same log must always give the same answer. What runs later is the expression as it was understood
here, written anew with every name in quotes, and never the text that somebody typed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types

from registry.catalogue_entry import meant
from registry.catalogue_kinds import ColumnType, kind_problems, shown
from registry.catalogue_pitfalls import pitfalls

EXPRESSION_CHARS_MAX = 4_000  # the longest claim of a real evidence type has some hundred
DIALECT = "postgres"

SCALARS: Mapping[str, type[exp.Expr]] = {
    "abs": exp.Abs,
    "coalesce": exp.Coalesce,
    "concat": exp.Concat,
    "concat_ws": exp.ConcatWs,
    "date_part": exp.Extract,
    "extract": exp.Extract,
    "greatest": exp.Greatest,
    "least": exp.Least,
    "left": exp.Left,
    "length": exp.Length,
    "lower": exp.Lower,
    "nullif": exp.Nullif,
    "right": exp.Right,
    "round": exp.Round,
    "starts_with": exp.StartsWith,
    "substring": exp.Substring,
    "trim": exp.Trim,
    "upper": exp.Upper,
}
AGGREGATES: Mapping[str, type[exp.Expr]] = {
    "array_agg": exp.ArrayAgg,
    "avg": exp.Avg,
    "bool_and": exp.LogicalAnd,
    "bool_or": exp.LogicalOr,
    "count": exp.Count,
    "max": exp.Max,
    "min": exp.Min,
    "string_agg": exp.GroupConcat,
    "sum": exp.Sum,
}
NAMED_SCALARS: Mapping[str, int] = {"age": 2}  # functions that the parser has no class for: arguments

_OPERATORS: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.And,
        exp.Or,
        exp.Not,
        exp.Paren,
        exp.EQ,
        exp.NEQ,
        exp.LT,
        exp.LTE,
        exp.GT,
        exp.GTE,
        exp.Between,
        exp.In,
        exp.Is,
    }
    | {exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike, exp.RegexpLike, exp.DPipe, exp.Any, exp.Case, exp.If}
    | {exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Cast, exp.DataType, exp.Interval, exp.Var}
    | {exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean}
)
_AGGREGATE_PARTS: frozenset[type[exp.Expr]] = frozenset(
    {exp.Filter, exp.Where, exp.Order, exp.Ordered, exp.Distinct, exp.Star}
)
_CLOCK = (exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.Localtime, exp.Localtimestamp)


class Use(Enum):
    """What an expression is for; it decides what may stand in it."""

    RULE = auto()
    RECORD_CLAIM = auto()
    PERSON_CLAIM = auto()
    PROOF = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression as it was understood: `sql` is safe to run only when there are no problems."""

    sql: str
    type: ColumnType
    problems: tuple[str, ...]


def read_expression(text: str, *, use: Use, columns: Mapping[str, Mapping[str, ColumnType]]) -> Expression:
    """Reads an expression over columns, by alias; the alias "" holds the names that need none."""
    try:
        node = _parsed(text)
    except ValueError as exc:
        return Expression(sql="", type=ColumnType(sql="unknown"), problems=(str(exc),))
    problems = list(_grammar_problems(node, use))
    if use is Use.PERSON_CLAIM and not problems:
        problems += _aggregate_problems(node)
    problems += _column_problems(node, columns, use)
    if not problems and not node.find(exp.Column, exp.Count):
        problems.append("names no column, so that it says the same of everybody; write one")
    kind = ColumnType(sql="unknown")
    if not problems:
        typed = _typed(node, columns)
        kind = _type_of(typed, columns)
        problems += [*kind_problems(typed, columns), *pitfalls(typed, is_value=use not in (Use.RULE, Use.PROOF))]
        if use in (Use.RULE, Use.PROOF) and kind.sql not in ("boolean", "unknown"):
            problems.append(f"gives {kind.sql}, not true or false; write a comparison")
    sql = node.sql(dialect=DIALECT, identify=True, comments=False)
    return Expression(sql=sql, type=kind, problems=tuple(dict.fromkeys(problems)))


def _parsed(text: str) -> exp.Expr:
    """The one expression that the text holds. Raises ValueError, whose message says what is wrong."""
    if len(text) > EXPRESSION_CHARS_MAX:
        raise ValueError(f"the expression is longer than {EXPRESSION_CHARS_MAX} characters; write a shorter one")
    try:
        nodes = [node for node in sqlglot.parse(text, dialect=DIALECT) if node is not None]
    except SqlglotError as exc:
        where = getattr(exc, "errors", None)
        reason = where[0]["description"].rstrip(".").lower() if where else "a quotation mark is missing"
        place = f" at character {where[0]['col']}" if where else ""
        raise ValueError(f"is no SQL expression: {reason}{place}; write one such as \"status = 'active'\"") from None
    except RecursionError:
        raise ValueError("the expression is nested too deep; write it flatter") from None
    if len(nodes) != 1:
        raise ValueError(f"holds {len(nodes) or 'no'} expressions; write one, without ';'")
    return nodes[0]


def _grammar_problems(root: exp.Expr, use: Use) -> Iterator[str]:
    takes_aggregates = use is Use.PERSON_CLAIM
    allowed = _OPERATORS | frozenset(SCALARS.values())
    if takes_aggregates:
        allowed |= _AGGREGATE_PARTS | frozenset(AGGREGATES.values())

    def is_foreign(node: exp.Expr) -> bool:
        return type(node) not in allowed and not _is_named_scalar(node)

    for node in root.walk(prune=is_foreign):
        if is_foreign(node) and not isinstance(node.parent, exp.Column):
            yield _foreign(node, takes_aggregates=takes_aggregates)
        elif isinstance(node, exp.Div) and use is Use.RULE:
            yield "a quality rule may not divide, for whole numbers divide in two ways; write it as a multiplication"


def _is_named_scalar(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and NAMED_SCALARS.get(node.name.lower()) == len(node.expressions)


def _foreign(node: exp.Expr, *, takes_aggregates: bool) -> str:
    text = shown(node)
    if isinstance(node, _CLOCK):
        return f"'{text}' depends on the clock, so that a replay would differ; write a column or a fixed date"
    if isinstance(node, tuple(AGGREGATES.values())):
        return f"'{text}' tells of many records; write a value of one record, or make the evidence type 'per: person'"
    if isinstance(node, exp.Func):
        name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
        functions = [*SCALARS, *NAMED_SCALARS, *(AGGREGATES if takes_aggregates else ())]
        if name in NAMED_SCALARS:
            return f"the function '{name}' takes {NAMED_SCALARS[name]} values here; write '{name}(…)' with them"
        return f"the function '{name}' may not be used; {meant(name, functions)}"
    return f"'{text}' may not be used; write columns, literals, comparisons and functions, but no query"


def _column_problems(root: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]], use: Use) -> Iterator[str]:
    for column in root.find_all(exp.Column):
        alias, name = column.table, column.name
        if column.args.get("db"):
            yield f"'{shown(column)}' has more than two parts; write <view>.<column>"
        elif isinstance(column.this, exp.Star):
            yield f"'{shown(column)}' names no column; write the columns out"
        elif alias not in columns:
            yield _unknown_alias(alias, name, columns)
        elif name not in columns[alias]:
            whose = {Use.RULE: "the body has no field", Use.PROOF: "there is no claim"}.get(
                use, f"view '{alias}' has no column"
            )
            yield f"{whose} '{name}'; {meant(name, columns[alias])}"


def _unknown_alias(alias: str, name: str, columns: Mapping[str, Mapping[str, ColumnType]]) -> str:
    if alias:
        return (
            f"there is no view '{alias}'; {meant(alias, filter(None, columns))}"
            if "" not in columns
            else (f"'{alias}.{name}' is not known here; write names without a view")
        )
    having = [view for view, names in columns.items() if name in names] or list(columns)
    return f"'{name}' does not say of which view; write '{having[0]}.{name}'"


def _aggregate_problems(root: exp.Expr) -> Iterator[str]:
    aggregates = tuple(AGGREGATES.values())
    for column in root.find_all(exp.Column):
        if column.find_ancestor(exp.Filter, *aggregates) is None:
            yield f"'{shown(column)}' is of one record among many; write an aggregate such as max(…) around it"
    for node in root.find_all(*aggregates):
        if node.find_ancestor(*aggregates):
            yield f"'{shown(node)}' is an aggregate inside an aggregate; write one"
        value = node.this.this if isinstance(node.this, exp.Order) else node.this
        if not isinstance(node, exp.Count) and not value.find(exp.Column):
            yield f"'{shown(node)}' names no column; write one"
        if isinstance(node, (exp.ArrayAgg, exp.GroupConcat)) and not node.find(exp.Order):
            yield f"'{shown(node)}' has no fixed order; write ORDER BY … inside it"
    for star in root.find_all(exp.Star):
        if not isinstance(star.parent, (exp.Count, exp.Column)):
            yield "'*' names no column; write one"


def _typed(node: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]]) -> exp.Expr:
    """A copy whose nodes have types; names without an alias get one, for types are looked up by it."""
    schema: dict[str, object] = {
        alias or "_": {name: kind.sql for name, kind in names.items()} for alias, names in columns.items()
    }
    copy = node.copy()
    for column in copy.find_all(exp.Column):
        if not column.table:
            column.set("table", exp.to_identifier("_"))
    query = _from_all(exp.select(copy.as_("value")), list(schema))
    typed = annotate_types(query, schema=schema, dialect=DIALECT)
    value: exp.Expr = typed.selects[0].unalias()
    return value


def _from_all(query: exp.Select, tables: list[str]) -> exp.Select:
    query = query.from_(exp.to_table(tables[0]))
    for table in tables[1:]:
        query = query.join(exp.to_table(table), join_type="cross")
    return query


def _type_of(typed: exp.Expr, columns: Mapping[str, Mapping[str, ColumnType]]) -> ColumnType:
    bare = typed.unnest()
    if isinstance(bare, exp.Column):
        return columns["" if bare.table == "_" else bare.table][bare.name]
    return ColumnType(sql=typed.type.sql(DIALECT).lower() if typed.type else "unknown")
