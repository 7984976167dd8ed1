from importlib.resources import files

import pytest

from registry.catalogue_expressions import (
    AGGREGATES,
    EXPRESSION_CHARS_MAX,
    NAMED_SCALARS,
    SCALARS,
    Use,
    read_expression,
)
from registry.catalogue_kinds import ColumnType, column_type

COLUMNS = {
    "status": ColumnType(sql="text", symbols=frozenset({"active", "ended"})),
    "name": ColumnType(sql="text"),
    "count": ColumnType(sql="integer"),
    "amount": ColumnType(sql="bigint"),
    "share": ColumnType(sql="double precision"),
    "begun_on": ColumnType(sql="date"),
    "seen_at": ColumnType(sql="timestamptz"),
    "is_open": ColumnType(sql="boolean"),
    "tags": ColumnType(sql="text[]"),
}
VIEWS = {"job": COLUMNS, "home": COLUMNS}


def problems(text, use, columns=VIEWS):
    return " ".join(read_expression(text, use=use, columns=columns).problems)


@pytest.mark.parametrize(
    ("text", "understood", "sql_type"),
    [
        ("job.status = 'active'", """"job"."status" = 'active'""", "boolean"),
        ("job.name", '"job"."name"', "text"),
        ("job.amount::text", 'CAST("job"."amount" AS TEXT)', "text"),
        ("concat_ws(' ', job.name, home.name)", """CONCAT_WS(' ', "job"."name", "home"."name")""", "varchar"),
        ("job.amount /* rials */ / 2 -- half", '"job"."amount" / 2', "bigint"),
        ("job.amount / nullif(job.count, 0)", '"job"."amount" / NULLIF("job"."count", 0)', "bigint"),
        ("'a' = ANY(job.tags)", """'a' = ANY("job"."tags")""", "boolean"),
        ("job.name !~ '^x'", """NOT "job"."name" ~ '^x'""", "boolean"),
        (
            "date_part('year', age(job.begun_on, home.begun_on)) >= 18",
            'EXTRACT(YEAR FROM AGE("job"."begun_on", "home"."begun_on")) >= 18',
            "boolean",
        ),
        (
            "job.begun_on + INTERVAL '1 year' > DATE '2026-01-31'",
            """"job"."begun_on" + INTERVAL '1 YEAR' > CAST('2026-01-31' AS DATE)""",
            "boolean",
        ),
        ("CASE WHEN job.is_open THEN 1 ELSE 0 END", 'CASE WHEN "job"."is_open" THEN 1 ELSE 0 END', "int"),
    ],
)
def test_an_expression_is_written_anew_with_its_names_in_quotes(text, understood, sql_type):
    expression = read_expression(text, use=Use.RECORD_CLAIM, columns=VIEWS)

    assert (expression.problems, expression.sql, expression.type.sql) == ((), understood, sql_type)


@pytest.mark.parametrize(
    "text",
    [
        "count(*)",
        "count(DISTINCT job.name)",
        "NOT coalesce(bool_or(job.status = 'active'), false)",
        "CAST(coalesce(sum(job.amount), 0) AS bigint)",
        "max(job.begun_on) FILTER (WHERE job.is_open)",
        "array_agg(job.name ORDER BY job.name)",
        "string_agg(job.name, ', ' ORDER BY job.begun_on DESC)",
    ],
)
def test_evidence_of_a_person_is_told_by_aggregates(text):
    assert problems(text, Use.PERSON_CLAIM, {"job": COLUMNS}) == ""
    assert "many records" in problems(text, Use.RECORD_CLAIM) or "no query" in problems(text, Use.RECORD_CLAIM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no expressions"),
        ("job.count; DROP TABLE facts", "holds 2 expressions"),
        ("DROP TABLE facts", "may not be used"),
        ("(SELECT 1)", "no query"),
        ("job.count IN (SELECT 1)", "no query"),
        ("EXISTS (SELECT 1)", "may not be used"),
        ("pg_sleep(1) IS NULL", "the function 'pg_sleep' may not be used"),
        ("set_config('a', job.name, false)", "the function 'set_config' may not be used"),
        ("job.begun_on > current_date", "depends on the clock"),
        ("now() > job.seen_at", "depends on the clock"),
        ("localtimestamp > job.seen_at", "depends on the clock"),
        ("random() > job.share", "the function 'rand' may not be used"),
        ("age(job.begun_on) IS NULL", "the function 'age' takes 2 values"),
        ("job.count = $1", "'$1' may not be used"),
        ("job.count = %s", "'%s' may not be used"),
        ("row_number() OVER () = job.count", "may not be used"),
        ("job.*", "names no column"),
        ("1 = 1", "the same of everybody"),
        ("count", "write 'job.count'"),
        ("public.job.count", "more than two parts"),
        ("jobb.count", "did you mean 'job'?"),
        ("job.coutn", "did you mean 'count'?"),
        ("Job.count", "no view 'Job'"),
        ("job.subject", "no column 'subject'"),
        ("job.name = 'a", "a quotation mark is missing"),
        ("job.name = ", "no SQL expression"),
        ("(" * 1900 + "job.count" + ")" * 1900, "nested too deep"),
        ("job.name || '" + "x" * EXPRESSION_CHARS_MAX + "'", "longer than"),
        ("job.status = 'activ'", "did you mean 'active'?"),
        ("job.status IN ('ended', 'gone')", "never is 'gone'"),
        ("job.count > 'three'", "both of one kind"),
        ("job.begun_on > '2026-01-31'", "write DATE '2026-01-31'"),
        ("job.begun_on BETWEEN DATE '2026-01-31' AND 5", "both of one kind"),
        ("job.name + 1", "adds or subtracts"),
        ("job.begun_on - 7 > home.begun_on", "write INTERVAL '7 days'"),
        ("job.count + INTERVAL '7 days' > job.begun_on", "a time and an INTERVAL"),
        ("coalesce(job.count, 'none')", "both of one kind"),
        ("CASE WHEN job.is_open THEN 1 ELSE 'none' END", "both of one kind"),
        ("CASE WHEN job.count THEN 1 END", "stands where true or false must"),
        ("job.name || job.count", "stands where text must"),
        ("job.count = ANY(job.tags)", "stands where text must"),
        ("job.name = ANY(home.name)", "stands where a list must"),
        ("age(job.count, job.begun_on) > INTERVAL '1 day'", "stands where a date or time must"),
        ("extract(year FROM job.count) = 1", "stands where a date or time"),
        ("job.name IS TRUE", "stands where true or false must"),
        ("round(job.share, 2)", "write round with one value"),
        ("job.share % 2 = 1", "no whole number"),
        ("NOT job.count", "stands where true or false must"),
        ("job.is_open AND job.count", "stands where true or false must"),
        ("job.count LIKE '1%'", "stands where text must"),
        ("job.amount::numeric", "may fail"),
        ("job.name::bigint", "may fail; text casts to text only"),
        ("job.begun_on = DATE '2026-02-30'", "no such day"),
        ("job.seen_at > TIMESTAMPTZ '2026-01-31 12:00'", "no such day or time"),
        ("job.amount / job.count", "nullif(job.count, 0)"),
        ("job.amount % 0 = 1", "where the divisor is 0"),
        ("job.begun_on + INTERVAL 'a while' > job.begun_on", "no span of time"),
        ("extract(moon FROM job.begun_on) = 1", "no part of a date"),
        ("extract(year FROM job.begun_on)", "gives a decimal"),
        ("job.count * 1.5", "gives a decimal"),
        ("age(job.begun_on, home.begun_on)", "gives a span of time"),
        ("job.name ~ '['", "no regular expression"),
        ("job.name ~ home.name", "no fixed text"),
    ],
)
def test_a_claim_that_could_do_harm_or_fail_is_refused(text, message):
    assert message in problems(text, Use.RECORD_CLAIM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job.count", "one record among many"),
        ("max(job.count) + job.count", "one record among many"),
        ("max(sum(job.count))", "an aggregate inside an aggregate"),
        ("sum(job.amount)", "gives a decimal"),
        ("array_agg(job.name)", "no fixed order"),
        ("string_agg(job.name, ',')", "no fixed order"),
        ("bool_or(job.count)", "stands where true or false must"),
        ("max(job.count) OVER ()", "may not be used"),
        ("max(job.is_open)", "stands where text or a number"),
        ("max(1)", "names no column"),
        ("array_agg('a' ORDER BY job.name)", "names no column"),
    ],
)
def test_a_claim_about_a_person_is_one_value_of_all_records(text, message):
    assert message in problems(text, Use.PERSON_CLAIM, {"job": COLUMNS})


@pytest.mark.parametrize("use", [Use.RULE, Use.PROOF])
def test_rules_and_proofs_are_true_or_false_over_plain_names(use):
    plain = {"": COLUMNS}

    assert problems("count > 1 AND is_open", use, plain) == ""
    assert "not true or false" in problems("count", use, plain)
    assert "write names without a view" in problems("job.count > 1", use, plain)
    assert "many records" in problems("max(count) > 1", use, plain)
    assert "did you mean 'count'?" in problems("cont > 1", use, plain)


def test_a_rule_may_not_divide():
    assert "write it as a multiplication" in problems("amount / 2 > 1", Use.RULE, {"": COLUMNS})


def test_the_guide_to_the_files_names_every_function_that_may_be_used():
    guide = files("schemas").joinpath("README.md").read_text(encoding="utf-8")

    assert [name for name in [*SCALARS, *NAMED_SCALARS, *AGGREGATES] if f"`{name}`" not in guide] == []


@pytest.mark.parametrize(
    ("avro_type", "sql_type"),
    [
        ("string", "text"),
        (["null", "long"], "bigint"),
        ({"type": "int", "logicalType": "date"}, "date"),
        (["null", {"type": "long", "logicalType": "timestamp-micros"}], "timestamptz"),
        ({"type": "array", "items": "string"}, "text[]"),
        ({"type": "double"}, "double precision"),
        (None, "unknown"),
    ],
)
def test_a_body_field_has_the_type_of_its_column(avro_type, sql_type):
    assert column_type(avro_type).sql == sql_type


def test_an_enumerated_field_brings_its_symbols():
    assert column_type({"type": "enum", "name": "E", "symbols": ["a", "b"]}).symbols == {"a", "b"}
