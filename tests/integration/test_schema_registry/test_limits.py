"""What no caller should send: refused with a code of the caller's kind, never a fault of the service."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.service.avro_schemas import SCHEMA_CHARACTERS_MAX
from registry.service.http import BODY_BYTES_MAX

VERSIONS = "/subjects/deeds/versions"
V1 = "application/vnd.schemaregistry.v1+json"


@pytest.fixture
def post(service):
    def send(body, content_type=V1, **headers):
        answer = service.client.post(VERSIONS, content=body, headers={"content-type": content_type, **headers})
        return answer.status_code, json.loads(answer.content)["error_code"]

    return send


def test_a_body_that_is_no_request_is_refused_by_its_form(post):
    for body in (
        b"",
        b"{",
        b"[]",
        b"5",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b'{"schema": 5}',
        b'{"schema": "{}", "id": "x"}',
    ):
        assert post(body) == (400, 400)
    for body in (b'{"schema": "\\"int\\"", "version": 1.5}', b'{"schema": "{}", "references": {}}'):
        assert post(body) == (400, 400)
    assert post(b'{"schema": "\\ud800"}') == (400, 400)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "",
        "  ",
        "int",
        "{",
        "{}",
        "5",
        "null",
        '"Unknown"',
        '{"type": "record", "name": "A"}',
        '{"type": "record", "name": "a-b", "fields": []}',
        '{"type": "record", "name": "A", "fields": [5]}',
        '{"type": "record", "name": "A", "fields": [{"name": "x"}]}',
        '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "int", "default": "one"}]}',
        '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "int", "default": NaN}]}',
        '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}, {"name": "x", "type": "int"}]}',
        '{"type": "record", "name": "A", "doc": "\\ud800", "fields": []}',
        '{"type": "enum", "name": "E", "symbols": ["a", "a"]}',
        '["int", "int"]',
        '{"type": "fixed", "name": "F", "size": -1}',
        '{"type": "fixed", "name": "F", "size": "1", "logicalType": "decimal"}',
        "[" * 50_000,
        "[" * 50_000 + "]" * 50_000,
        '{"type":"array","items":' * 5_000 + '"int"' + "}" * 5_000,
    ],
)
def test_what_is_no_avro_schema_is_refused_in_every_place(service, schema):
    body = {} if schema is None else {"schema": schema}
    service.register("deeds", '"int"')

    assert service.error("POST", VERSIONS, body) == (422, 42201)
    assert service.error("POST", "/subjects/deeds", body) == (422, 42201)
    assert service.error("POST", f"/compatibility{VERSIONS}", body) == (422, 42201)


def test_what_the_registry_does_not_keep_is_refused_not_ignored(service):
    schema = '"int"'

    assert service.error("POST", VERSIONS, {"schema": schema, "schemaType": "PROTOBUF"}) == (422, 42201)
    assert service.error("POST", VERSIONS, {"schema": schema, "metadata": {"tags": {}}}) == (422, 42201)
    assert service.error("POST", VERSIONS, {"schema": schema, "ruleSet": {"domainRules": []}}) == (422, 42210)
    service.register("deeds", schema)
    for path in ("/schemas/ids/1", "/schemas/ids/1/schema", "/subjects/deeds/versions/1"):
        assert service.error("GET", f"{path}?format=resolved") == (422, 42201)
        assert service.client.get(f"{path}?format=default").status_code == 200


def test_logical_types_that_do_not_fit_are_passed_over_as_the_specification_says(service):
    for logical in ("unheard-of", "uuid", "decimal", ["x"], {}):
        service.register("deeds", json.dumps({"type": "int", "logicalType": logical}))


def test_a_schema_has_a_largest_size(service):
    head, tail = '{"type":"record","name":"A","fields":[],"doc":"', '"}'
    fits = head + "x" * (SCHEMA_CHARACTERS_MAX - len(head) - len(tail)) + tail

    assert service.register("deeds", fits) == 1
    assert service.error("POST", VERSIONS, {"schema": fits.replace("x", "xx", 1)}) == (422, 42209)
    assert service.ask("GET", "/schemas/ids/1")[1]["schema"] == fits


def test_a_body_has_a_largest_size(post):
    assert post(b" " * (BODY_BYTES_MAX + 1)) == (413, 413)


def test_content_types_are_those_of_the_api(service, post):
    body = b'{"schema": "\\"int\\""}'

    for content_type in (V1, "application/vnd.schemaregistry+json", "application/json; charset=utf-8"):
        accept = content_type.partition(";")[0]
        answer = service.client.post(VERSIONS, content=body, headers={"content-type": content_type, "accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, accept)
    assert service.client.get("/subjects").headers["content-type"] == V1
    assert service.client.get("/subjects", headers={"accept": "text/html, */*;q=0.1"}).status_code == 200
    assert service.client.get("/none", headers={"accept": "application/json"}).status_code == 404
    assert post(body, content_type="text/xml") == (415, 415)
    assert post(body, accept="text/html") == (406, 406)
    preferred = "application/json;q=0.1, application/vnd.schemaregistry+json;q=0.9"
    assert service.client.get("/", headers={"accept": preferred}).headers["content-type"].endswith("registry+json")


def test_what_leads_nowhere_is_told_so(service):
    assert service.error("GET", "/nowhere") == (404, 404)
    assert service.error("PATCH", "/subjects") == (405, 405)
    assert service.error("PUT", "/subjects/deeds", {}) == (405, 405)
    assert service.error("GET", "/subjects//versions") == (404, 404)
    for wrong in ("x", "-1", "1.5", "99999999999999999999", "2147483648", "١"):
        assert service.error("GET", f"/schemas/ids/{wrong}") == (404, 404)
    for wrong in ("x", "9" * 5_000, "٣"):
        assert service.error("GET", f"/subjects?offset={wrong}") == (404, 404)
    assert service.error("GET", "/subjects?subjectPrefix=%00") == (422, 42208)
    assert service.ask("GET", "/subjects/") == (200, [])
    assert service.client.head("/subjects").status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "record",
        "enum",
        "fixed",
        "array",
        "map",
        "int",
        "string",
        "error",
        "error_union",
        "request",
        "A",
        "n.A",
        "",
        "null",
    ]
)
ANY_SCHEMA = st.recursive(
    WORDS | JSON,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {"type": inner},
            optional={
                "name": WORDS | JSON,
                "namespace": WORDS | JSON,
                "fields": st.lists(
                    st.fixed_dictionaries({"name": WORDS | JSON, "type": inner}, optional={"default": JSON})
                )
                | JSON,
                "symbols": st.lists(WORDS) | JSON,
                "items": inner,
                "values": inner,
                "size": JSON,
                "aliases": st.lists(WORDS) | JSON,
                "default": JSON,
                "logicalType": st.sampled_from(["decimal", "uuid", "date"]) | JSON,
                "precision": JSON,
            },
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=ANY_SCHEMA)
def test_whatever_is_sent_as_a_schema_is_taken_or_refused_and_never_a_fault(service, schema):
    service.ask("PUT", "/config", {"compatibility": "FULL"})

    status, facts = service.ask("POST", VERSIONS, {"schema": json.dumps(schema)})

    assert status in (200, 409, 422), facts


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "PUT", "DELETE", "GET"]),
    path=st.sampled_from(
        ["/subjects/deeds", VERSIONS, f"/compatibility{VERSIONS}", "/config", "/config/deeds", "/mode", "/mode/deeds"]
    ),
    body=JSON
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("schema", "references", "id", "version", "compatibility", "mode", "schemaType"), JSON),
    ),
)
def test_whatever_body_is_sent_is_taken_or_refused_and_never_a_fault(service, method, path, body):
    status, facts = service.ask(method, path, body)

    assert status < 500, facts
