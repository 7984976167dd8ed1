import json

import pytest

from registry.compatibility import CompatibilityLevel, incompatibilities
from registry.errors import ContractError

NAME = {"name": "given_name", "type": "string"}
OPTIONAL = {"name": "nickname", "type": ["null", "string"], "default": None}
REQUIRED = {"name": "birth_place", "type": "string"}


def schema(*fields):
    return json.dumps({"type": "record", "name": "Identity", "fields": list(fields)})


def with_symbols(*symbols):
    return schema({"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": list(symbols)}})


OLD = schema(NAME)
BOTH_WAYS = {*CompatibilityLevel}
BACKWARD = {level for level in CompatibilityLevel if level.demands_backward}
FORWARD = {level for level in CompatibilityLevel if level.demands_forward}


@pytest.mark.parametrize(
    ("old", "new", "refused_by"),
    [
        (OLD, OLD, set()),
        (OLD, schema(NAME, OPTIONAL), set()),
        (schema(NAME, OPTIONAL), OLD, set()),
        (OLD, schema(NAME, REQUIRED), BACKWARD),
        (schema(NAME, REQUIRED), OLD, FORWARD),
        (schema({"name": "n", "type": "int"}), schema({"name": "n", "type": "long"}), FORWARD),
        (schema({"name": "n", "type": "long"}), schema({"name": "n", "type": "int"}), BACKWARD),
        (with_symbols("a"), with_symbols("a", "b"), FORWARD),
        (with_symbols("a", "b"), with_symbols("a"), BACKWARD),
        (OLD, schema({"name": "given_name", "type": "boolean"}), BACKWARD | FORWARD),
    ],
)
def test_each_level_refuses_what_it_forbids_and_nothing_else(old, new, refused_by):
    refusing = {level for level in CompatibilityLevel if incompatibilities(new, [old], level)}

    assert refusing == refused_by


def test_only_a_transitive_level_looks_beyond_the_latest_schema():
    first, second, third = schema(NAME, REQUIRED), schema(NAME, {**REQUIRED, "default": ""}), schema(NAME)

    assert not incompatibilities(third, [first, second], CompatibilityLevel.FORWARD)
    assert incompatibilities(third, [first, second], CompatibilityLevel.FORWARD_TRANSITIVE)


def test_a_refusal_names_the_field_and_the_rule():
    (problem,) = incompatibilities(schema(NAME, REQUIRED), [OLD], CompatibilityLevel.BACKWARD)

    assert "birth_place" in str(problem)
    assert problem.rule == "reader_field_missing_default_value"


def test_anything_may_be_the_first_schema():
    assert incompatibilities(OLD, [], CompatibilityLevel.FULL_TRANSITIVE) == ()


@pytest.mark.parametrize("text", ["", "{", '{"type": "nothing"}', '{"type": "record", "name": "A"}'])
def test_what_is_no_schema_is_refused(text):
    with pytest.raises(ContractError, match="no Avro schema"):
        incompatibilities(text, [OLD], CompatibilityLevel.BACKWARD)
