import pytest

from producers.gateway.app import CHANGES_MAX
from producers.gateway.openapi import body_schema, document, json_schema
from producers.gateway.page import page
from registry.catalogue import load_catalogue


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(None)


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_has_every_record_type_and_every_reference_leads_somewhere(catalogue):
    said = document(catalogue, changes_max=CHANGES_MAX)

    assert set(said["paths"]) == {f"/v1/records/{name}" for name in catalogue.record_types}
    assert set(references(said)) <= {f"#/components/schemas/{name}" for name in said["components"]["schemas"]}


def test_a_body_needs_the_fields_that_may_not_be_null_and_may_have_no_other(catalogue):
    schema = body_schema(catalogue.record_types["labour-relations.employment"])

    assert schema["additionalProperties"] is False
    assert "end_reason" not in schema["required"]
    assert schema["properties"]["status"]["enum"] == ["active", "ended"]
    assert schema["properties"]["monthly_wage_rials"]["maximum"] == 2**63 - 1
    assert schema["properties"]["end_reason"]["type"] == ["string", "null"]


def test_a_symbol_that_may_be_null_may_be_null_in_json():
    schema = json_schema(["null", {"type": "enum", "name": "Use", "symbols": ["home", "farm"]}])

    assert schema == {"type": ["string", "null"], "enum": ["home", "farm", None]}


def test_the_page_shows_every_record_type_and_no_markup_of_a_contract_gets_through(catalogue):
    shown = page(catalogue).decode()

    assert all(f'<section id="{name}">' in shown for name in catalogue.record_types)
    assert "&quot;household_size&quot; &gt;= 1" in shown
