"""Equality and compatibility of Avro schemas as laws, over schemas and values that are made up."""

import io
import json

import avro.schema
import fastavro
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType, SchemaIncompatibilityType
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.avro_identity import compact, identity
from registry.compatibility import AvroText, CompatibilityLevel, incompatibilities, parsed_schema
from registry.errors import ContractError
from registry.service.avro_defaults import wrong_default

PRIMITIVES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=5),
    "boolean": st.booleans(),
}
SYMBOLS = ["a", "b", "c"]
FIELD_NAMES = ["x", "y", "z"]


def enums():
    def with_default(symbols):
        plain = {"type": "enum", "name": "Kind", "symbols": symbols}
        return st.just(plain) | st.sampled_from(symbols).map(lambda symbol: {**plain, "default": symbol})

    return st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True).flatmap(with_default)


def fields(types):
    required = st.fixed_dictionaries({"type": types})
    optional = types.filter(lambda kind: kind != "null").map(lambda kind: {"type": ["null", kind], "default": None})
    return st.dictionaries(st.sampled_from(FIELD_NAMES), required | optional, max_size=3).map(
        lambda named: [{"name": name, **field} for name, field in named.items()]
    )


def records(types):
    return fields(types).map(lambda listed: {"type": "record", "name": "land.Deed", "fields": listed})


def optional(kind, is_optional):
    return ["null", kind] if is_optional else kind


LEAVES = st.sampled_from(sorted(PRIMITIVES))
PARTS = (
    LEAVES
    | LEAVES.map(lambda kind: {"type": "array", "items": kind})
    | LEAVES.map(lambda k: {"type": "map", "values": k})
)
# A named type is defined once, so a schema has one enum at most.
SCHEMAS = records(PARTS) | st.tuples(records(PARTS), enums(), st.booleans()).map(
    lambda made: {**made[0], "fields": [*made[0]["fields"], {"name": "kind", "type": optional(*made[1:])}]}
)


def values(schema):
    match schema:
        case str(name):
            return PRIMITIVES[name]
        case ["null", inner]:
            return st.none() | values(inner)
        case {"type": "array", "items": items}:
            return st.lists(values(items), max_size=2)
        case {"type": "map", "values": inner}:
            return st.dictionaries(st.text(max_size=3), values(inner), max_size=2)
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": "record", "fields": listed}:
            return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in listed})
    raise AssertionError(schema)


@settings(max_examples=100)
@given(old=SCHEMAS, new=SCHEMAS, data=st.data())
def test_what_may_follow_reads_every_value_of_the_earlier(old, new, data):
    written = io.BytesIO()
    found = incompatibilities(json.dumps(new), [json.dumps(old)], CompatibilityLevel.BACKWARD)
    fastavro.schemaless_writer(written, fastavro.parse_schema(old), data.draw(values(old)))
    written.seek(0)

    if not found:
        fastavro.schemaless_reader(written, fastavro.parse_schema(old), fastavro.parse_schema(new))


@settings(max_examples=100)
@given(old=SCHEMAS, new=SCHEMAS)
def test_a_rule_is_named_exactly_where_the_package_sees_one_broken(old, new):
    checker = ReaderWriterCompatibilityChecker()
    verdict = checker.get_compatibility(avro.schema.parse(json.dumps(new)), avro.schema.parse(json.dumps(old)))

    found = incompatibilities(json.dumps(new), [json.dumps(old)], CompatibilityLevel.BACKWARD)

    assert bool(found) == (verdict.compatibility is SchemaCompatibilityType.incompatible)
    for problem in found:
        assert problem.path.split(".")[0].rstrip("[]{}") in {field["name"] for field in new["fields"]}
        assert problem.rule in {rule.value for rule in SchemaIncompatibilityType}


def shuffled(node):
    """The same schema with its attributes in another order, and primitives spelt out."""
    if isinstance(node, list):
        return [shuffled(part) for part in node]
    if not isinstance(node, dict):
        return {"type": node} if node in PRIMITIVES else node
    kept = {key: value if key in ("default", "name", "type") else shuffled(value) for key, value in node.items()}
    if not isinstance(node["type"], str) or node["type"] in PRIMITIVES:
        kept["type"] = shuffled(node["type"])
    return dict(reversed(kept.items()))


@given(schema=SCHEMAS)
def test_a_spelling_says_the_same_and_is_its_own(schema):
    spelled = identity(schema)

    assert identity(spelled) == spelled
    assert compact(identity(shuffled(schema))) == compact(spelled)
    text = json.dumps(schema)
    assert not incompatibilities(compact(spelled), [text], CompatibilityLevel.FULL)


@given(one=SCHEMAS, other=SCHEMAS)
def test_only_schemas_that_read_each_other_are_equal(one, other):
    if compact(identity(one)) == compact(identity(other)):
        assert not incompatibilities(json.dumps(one), [json.dumps(other)], CompatibilityLevel.FULL)


def test_names_are_told_by_their_namespace():
    inner = {"type": "record", "name": "Inner", "fields": []}
    outer = {"type": "record", "name": "Outer", "namespace": "a.b", "fields": [{"name": "i", "type": inner}]}
    full = {"type": "record", "name": "a.b.Outer", "fields": [{"name": "i", "type": {**inner, "name": "a.b.Inner"}}]}
    bare = {**outer, "fields": [{"name": "i", "type": {**inner, "namespace": ""}}]}

    assert identity(outer) == identity(full) == full
    assert identity(bare)["fields"][0]["type"] == {"type": "record", "name": "Inner", "namespace": "", "fields": []}
    parsed_schema(compact(identity(bare)))


def deed(name, *, aliases=(), fields=()):
    return json.dumps(
        {"type": "record", "name": name, "namespace": "land", "aliases": list(aliases), "fields": list(fields)}
    )


def test_a_renamed_record_or_field_may_follow_with_its_old_name_as_alias():
    old = deed("Title", fields=[{"name": "no", "type": "int"}])
    field = {"name": "number", "aliases": ["no"], "type": "int"}

    assert incompatibilities(deed("Deed", fields=[field]), [old], CompatibilityLevel.BACKWARD)
    assert not incompatibilities(deed("Deed", aliases=["Title"], fields=[field]), [old], CompatibilityLevel.BACKWARD)


def told(old, new):
    def schema(part):
        return json.dumps({"type": "record", "name": "Deed", "fields": [{"name": "part", "type": part}]})

    (problem,) = incompatibilities(schema(new), [schema(old)], CompatibilityLevel.BACKWARD)
    return str(problem)


def nested(*fields):
    return {"type": "record", "name": "Part", "fields": [{"name": n, "type": t} for n, t in fields]}


def test_a_refusal_names_the_place_however_deep():
    enum, fixed = {"type": "enum", "name": "Use"}, {"type": "fixed", "name": "Mark"}

    assert told(nested(("x", "int")), nested(("x", "string"))).startswith("part.x: it is 'string' in the new schema")
    assert told(["null", nested(("x", "int"))], ["null", nested(("x", "string"))]).startswith("part.x: ")
    assert told({"type": "array", "items": "int"}, {"type": "array", "items": "string"}).startswith("part[]: ")
    assert told({"type": "map", "values": "int"}, {"type": "map", "values": "string"}).startswith("part{}: ")
    assert told(["null", "int"], "int").startswith("part: it is 'int' in the new schema, 'null' in the earlier one")
    assert told(["int", "string"], ["null", "int"]).startswith("part: the new schema has no branch for 'string'")
    assert "lacks the symbols 'b', 'c'" in told({**enum, "symbols": SYMBOLS}, {**enum, "symbols": ["a"]})
    assert "4 bytes in the new schema, 3 in" in told({**fixed, "size": 3}, {**fixed, "size": 4})
    assert "(name_mismatch)" in told({**fixed, "size": 3}, {**fixed, "size": 3, "name": "Other"})


def test_a_recursive_schema_is_followed_to_its_end():
    def tree(kind):
        grown = [{"name": "value", "type": kind}, {"name": "left", "type": ["null", "Tree"]}]
        return json.dumps({"type": "record", "name": "Tree", "fields": grown})

    (problem,) = incompatibilities(tree("string"), [tree("int")], CompatibilityLevel.BACKWARD)

    assert problem.path == "value"


def test_a_schema_of_many_paths_is_followed_once():
    leaves = {"int": "int", "string": "string"}
    for depth in range(40):
        for leaf, kind in leaves.items():
            name = f"N{depth}"
            pair = [{"name": "l", "type": kind}, {"name": "r", "type": f"N{depth - 1}" if depth else kind}]
            leaves[leaf] = {"type": "record", "name": name, "fields": pair}

    problems = incompatibilities(json.dumps(leaves["string"]), [json.dumps(leaves["int"])], CompatibilityLevel.FULL)

    assert len(problems) == 4  # both fields of the deepest, in both directions


def test_a_schema_is_compared_with_what_it_refers_to():
    place = [
        json.dumps({"type": "record", "name": "Place", "fields": [{"name": "c", "type": k}]}) for k in ("int", "long")
    ]
    deed = json.dumps({"type": "record", "name": "Deed", "fields": [{"name": "at", "type": "Place"}]})
    old, new = (AvroText(schema=deed, references=(text,)) for text in place)

    assert not incompatibilities(new, [old], CompatibilityLevel.BACKWARD)
    (problem,) = incompatibilities(new, [old], CompatibilityLevel.FORWARD)
    assert problem.path == "at.c"
    with pytest.raises(ContractError):
        parsed_schema(deed)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("int", [0, -(2**31)], [2**31, 1.5, True, "1", None]),
        ("long", [2**40], [2**63, True]),
        ("double", [1, 1.5], ["1", True]),
        ("boolean", [True], [1, "true"]),
        ("string", [""], [1, None]),
        ("bytes", ["\u00ff"], ["\u0100", 1]),
        ({"type": "fixed", "name": "F", "size": 2}, ["ab"], ["a", "abc", "a\u0100"]),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, ["a"], ["b", 1, ["a"]]),
        ({"type": "array", "items": "int"}, [[], [1]], [{}, ["1"]]),
        ({"type": "map", "values": "int"}, [{}, {"a": 1}], [[], {"a": "1"}]),
        (["null", "int"], [None, 1], ["1"]),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 1}],
            },
            [{"a": 1}, {"a": 1, "b": 2}],
            [{}, {"a": "1"}, [], {"a": 1, "b": None}],
        ),
        ({"type": "int", "logicalType": "date"}, [0], ["2026-01-01"]),
    ],
)
def test_a_default_is_a_value_of_its_type(kind, right, wrong):
    def schema(default):
        inner = {"type": "record", "name": "Inner", "fields": [{"name": "part", "type": kind, "default": default}]}
        outer = {"type": "record", "name": "Outer", "fields": [{"name": "in", "type": ["null", inner]}]}
        return parsed_schema(json.dumps(outer))

    assert [wrong_default(schema(value)) for value in right] == [None] * len(right)
    assert [wrong_default(schema(value)) for value in wrong] == ["part"] * len(wrong)
