import json

import polars as pl
import pytest
from typer.testing import CliRunner

from bus.errors import SettingError
from bus.reasons import Reason
from deploy.cli.catalogue import app
from deploy.topic_page.facts import topic_facts
from deploy.topic_page.markdown import markdown
from deploy.topic_page.sample import sample_body
from producers.columns import Layout
from registry.catalogue import load_catalogue
from registry.composition import envelope_fields, event_schema
from registry.quality import Gate

CATALOGUE = load_catalogue(None)
RECORD_TYPES = sorted(CATALOGUE.record_types)


def run(*words):
    return CliRunner().invoke(app, words, env={"YEKBAR_CATALOGUE": "", "COLUMNS": "160"})


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_the_pages_sample_breaks_no_rule_of_its_contract(name):
    record_type = CATALOGUE.record_types[name]
    types = {one: kind for one, kind in Layout(record_type).types.items() if one in sample_body(record_type)}

    broken = Gate(record_type).broken(pl.DataFrame([sample_body(record_type)], schema=types))

    assert [rule for rule in broken.columns if broken[rule].any()] == []


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_the_page_says_every_field_rule_and_reason(name):
    record_type = CATALOGUE.record_types[name]

    page = markdown(topic_facts(CATALOGUE, record_type))

    fields = [*envelope_fields(), *record_type.body["fields"]]
    assert [field["name"] for field in fields if f"| {field['name']} |" not in page] == []
    assert [rule.id for rule in record_type.rules if f"| {rule.id} |" not in page] == []
    at_the_desk = {Reason.OVERSIZED, Reason.INVALID_NATIONAL_ID, Reason.INVALID_FIELD}
    assert {reason for reason in Reason if f"| {reason} |" not in page} == at_the_desk
    for word in (f"records.{name}", f"quarantine.{name}", "sources.heartbeats", "acks=all", "murmur2", "0x00"):
        assert word in page


def test_the_facts_are_told_as_json_with_the_schema_that_a_client_must_write_with():
    facts = json.loads(run("show", "welfare.benefit", "--topic", "--json").stdout)

    assert facts["schema"] == event_schema(CATALOGUE.record_types["welfare.benefit"])
    assert facts["heartbeat"]["topic"] == "sources.heartbeats"


def test_a_person_at_the_terminal_sees_the_steps():
    shown = run("show", "welfare.benefit", "--topic").stdout

    assert "Write the change down first" in shown
    assert "benefit_code" in shown


def test_what_is_no_record_type_has_no_topic():
    result = run("show", "welfare", "--topic")

    assert isinstance(result.exception, SettingError)
    assert "welfare.benefit" in result.exception.remedy
