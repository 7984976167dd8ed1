"""Asking whether a schema might be registered."""

import pytest

NUMBER = ("number", "int")
OWNER = ("owner", "string")
AREA = ("area", "long", 0)
ALL = "/compatibility/subjects/deeds/versions"


@pytest.fixture
def deeds(service, schema):
    service.register("deeds", schema(NUMBER))
    service.register("deeds", schema(NUMBER, AREA))
    return service


def test_a_schema_is_compared_with_one_version_or_with_what_counts(deeds, schema):
    good, bad = {"schema": schema(NUMBER)}, {"schema": schema(NUMBER, OWNER)}

    for version in ("", "/1", "/2", "/latest", "/-1"):
        assert deeds.ask("POST", ALL + version, good) == (200, {"is_compatible": True})
        assert deeds.ask("POST", ALL + version, bad) == (200, {"is_compatible": False})


def test_who_asks_for_it_is_told_every_broken_rule(deeds, schema):
    bad = {"schema": schema(("number", "string"), OWNER)}

    status, facts = deeds.ask("POST", f"{ALL}?verbose=true", bad)

    assert (status, facts["is_compatible"]) == (200, False)
    assert facts["messages"] == [
        "version 2: number: it is 'string' in the new schema, 'int' in the earlier one (type_mismatch)",
        "version 2: owner: field 'owner' is not in the earlier one and has no default"
        " (reader_field_missing_default_value)",
        "{compatibility: 'BACKWARD'}",
    ]
    good = deeds.ask("POST", f"{ALL}?verbose=true", {"schema": schema(NUMBER)})
    assert good == (200, {"is_compatible": True, "messages": []})


def test_a_transitive_level_looks_at_every_version(deeds, schema):
    deeds.register("deeds", schema(AREA))
    body = {"schema": schema(AREA, ("number", "string", ""))}  # the latest version has no number, the others another
    assert deeds.ask("POST", ALL, body)[1] == {"is_compatible": True}

    deeds.ask("PUT", "/config/deeds", {"compatibility": "BACKWARD_TRANSITIVE"})

    assert deeds.ask("POST", ALL, body)[1] == {"is_compatible": False}


def test_a_deleted_version_is_not_compared(deeds, schema):
    deeds.delete("deeds")

    assert deeds.ask("POST", ALL, {"schema": schema(("number", "string"))})[1] == {"is_compatible": True}
    assert deeds.error("POST", f"{ALL}/1", {"schema": schema(NUMBER)}) == (404, 40401)


def test_anything_may_be_the_first(service, schema):
    body = {"schema": schema(NUMBER)}

    assert service.ask("POST", ALL, body) == (200, {"is_compatible": True})
    assert service.ask("POST", f"{ALL}/latest", body) == (200, {"is_compatible": True})
    assert service.error("POST", f"{ALL}/1", body) == (404, 40401)


def test_wrong_questions_are_told_by_their_codes(deeds, schema):
    body = {"schema": schema(NUMBER)}

    assert deeds.error("POST", f"{ALL}/9", body) == (404, 40402)
    assert deeds.error("POST", f"{ALL}/none", body) == (422, 42202)
    assert deeds.error("POST", ALL, {"schema": "{}"}) == (422, 42201)
    status, facts = deeds.ask("POST", f"{ALL}?verbose=true", {"schema": "{}"})
    assert (status, facts["is_compatible"]) == (200, False)
    assert "Invalid schema" in facts["messages"][0]


def test_comparing_registers_nothing(deeds, schema):
    deeds.ask("POST", ALL, {"schema": schema(NUMBER, ("more", "int", 1))})

    assert deeds.ask("GET", "/subjects/deeds/versions") == (200, [1, 2])


def test_force_registers_what_is_incompatible(deeds, schema):
    status, _ = deeds.ask("POST", "/subjects/deeds/versions?force=true", {"schema": schema(OWNER)})

    assert status == 200
    assert deeds.ask("GET", "/subjects/deeds/versions") == (200, [1, 2, 3])


def test_of_very_many_broken_rules_the_first_are_told(service, schema):
    service.register("deeds", schema())

    new = schema(*((f"field_{n}", "int") for n in range(60)))
    messages = service.ask("POST", f"{ALL}?verbose=true", {"schema": new})[1]["messages"]

    assert len(messages) == 52
    assert messages[50:] == ["and 10 more", "{compatibility: 'BACKWARD'}"]
