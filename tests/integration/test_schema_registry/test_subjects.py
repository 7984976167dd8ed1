"""Registering, finding and deleting by subject name, told by the API's own codes."""

import pytest

NUMBER = ("number", "int")
AREA = ("area", "long", 0)


@pytest.fixture
def deeds(service, schema):
    """A subject name with two versions, under a name that needs encoding."""
    subject = "records/سند مالکیت-value"
    service.first = service.register(subject, schema(NUMBER))
    service.second = service.register(subject, schema(NUMBER, AREA))
    return subject


def test_the_root_and_the_health_of_an_empty_registry(service):
    assert service.ask("GET", "/") == (200, {})
    assert service.ask("GET", "/subjects") == (200, [])
    assert service.ask("GET", "/schemas/types") == (200, ["AVRO"])
    assert service.ask("GET", "/contexts") == (200, ["."])


def test_a_registered_schema_is_found_in_every_way(service, schema, deeds):
    place = service.place(deeds)
    named = {"subject": deeds, "version": 2, "id": service.second}

    status, latest = service.ask("GET", f"{place}/versions/latest")

    assert status == 200
    assert {key: latest[key] for key in named} == named
    assert service.ask("GET", f"{place}/versions/-1") == (200, latest)
    assert service.ask("GET", f"{place}/versions/2") == (200, latest)
    assert service.ask("GET", f"{place}/versions") == (200, [1, 2])
    assert service.ask("GET", "/subjects") == (200, [deeds])
    assert service.ask("POST", place, {"schema": schema(NUMBER, AREA)}) == (200, latest)
    assert service.ask("GET", f"/schemas/ids/{service.second}") == (200, {"schema": latest["schema"]})
    assert service.ask("GET", f"/schemas/ids/{service.second}/subjects") == (200, [deeds])
    assert service.ask("GET", f"/schemas/ids/{service.second}/versions") == (200, [{"subject": deeds, "version": 2}])
    assert service.client.get(f"{place}/versions/2/schema").text == latest["schema"]
    assert service.client.get(f"/schemas/ids/{service.second}/schema").text == latest["schema"]


def test_a_stored_schema_answers_by_its_guid_and_to_who_asks_for_the_highest_id(service, deeds):
    more = {"confluent-accept-unknown-properties": "true"}
    _, known = service.ask("GET", f"{service.place(deeds)}/versions/1", **more)

    status, by_guid = service.ask("GET", f"/schemas/guids/{known['guid']}")

    assert (status, by_guid["schema"]) == (200, known["schema"])
    assert service.ask("GET", f"/schemas/guids/{known['guid']}/ids") == (200, [{"context": ".", "id": service.first}])
    assert service.ask("GET", f"/schemas/ids/{service.first}?fetchMaxId=true")[1]["maxId"] == service.second
    assert service.error("GET", "/schemas/guids/no-guid") == (404, 40403)


def test_registering_again_changes_nothing(service, schema, deeds):
    again = service.register(deeds, schema(NUMBER))

    assert again == service.first
    assert service.ask("GET", f"{service.place(deeds)}/versions") == (200, [1, 2])


@pytest.mark.parametrize(
    "spelling",
    [
        '{"fields": [{"type": {"type": "int"}, "name": "number"}], "name": "Deed", "type": "record"}',
        '\n{"type":"record","name":"Deed","fields":[{"name":"number","type":"int"}]}  ',
    ],
)
def test_an_equal_schema_has_the_same_id_under_every_name_and_in_every_spelling(service, deeds, spelling):
    assert service.register("other", spelling) == service.first
    assert service.ask("POST", service.place(deeds), {"schema": spelling})[1]["version"] == 1


def test_a_name_in_full_and_one_in_a_namespace_are_the_same(service, schema):
    inner = {"type": "enum", "name": "Use", "symbols": ["A"]}
    short = service.register("short", schema(("use", inner), ("other", "Use"), namespace="land"))

    full = {**inner, "name": "land.Use"}
    long = service.register("long", schema(("use", full), ("other", "land.Use"), name="land.Deed"))

    assert short == long


def test_a_normalized_schema_is_kept_in_the_one_spelling(service):
    body = {"schema": '{"name": "land.Deed", "fields": [], "type": "record"}'}

    service.ask("POST", "/subjects/deeds/versions?normalize=true", body)

    assert service.client.get("/subjects/deeds/versions/1/schema").text == (
        '{"type":"record","name":"land.Deed","fields":[]}'
    )


def test_schemas_that_differ_in_what_people_read_are_two(service, schema):
    assert service.register("a", schema(NUMBER, doc="A deed.")) != service.register("b", schema(NUMBER))


def test_an_incompatible_schema_is_refused_with_the_field_and_the_rule(service, schema, deeds):
    status, facts = service.ask(
        "POST", f"{service.place(deeds)}/versions", {"schema": schema(NUMBER, ("owner", "string"))}
    )

    assert (status, facts["error_code"]) == (409, 409)
    assert "version 2: owner: field 'owner' is not in the earlier one and has no default" in facts["message"]
    assert "reader_field_missing_default_value" in facts["message"]


def test_what_is_not_there_is_told_by_its_code(service, schema, deeds):
    place, unknown = service.place(deeds), {"schema": schema(("x", "int"))}

    assert service.error("GET", "/subjects/none/versions") == (404, 40401)
    assert service.error("GET", "/subjects/none/versions/1") == (404, 40401)
    assert service.error("GET", "/subjects/none/versions/latest") == (404, 40401)
    assert service.error("POST", "/subjects/none", unknown) == (404, 40401)
    assert service.error("DELETE", "/subjects/none") == (404, 40401)
    assert service.error("DELETE", "/subjects/none/versions/1") == (404, 40401)
    assert service.error("GET", f"{place}/versions/9") == (404, 40402)
    assert service.error("DELETE", f"{place}/versions/9") == (404, 40402)
    assert service.error("POST", place, unknown) == (404, 40403)
    assert service.error("GET", "/schemas/ids/999") == (404, 40403)
    assert service.error("GET", "/schemas/ids/999/schema") == (404, 40403)
    assert service.error("GET", "/schemas/ids/999/versions") == (404, 40403)
    assert service.error("GET", "/schemas/ids/999/subjects") == (404, 40403)


def test_what_is_no_version_is_told_so(service, deeds):
    for version in ("0", "-2", "first", "1.5", "99999999999", "2147483648", "١"):
        place = f"{service.place(deeds)}/versions/{version}"

        assert service.error("GET", place) == (422, 42202)
        assert service.error("DELETE", place) == (422, 42202)


def test_a_subject_name_is_deleted_softly_then_for_ever(service, schema, deeds):
    place = service.place(deeds)
    assert service.error("DELETE", f"{place}?permanent=true") == (404, 40405)

    assert service.delete(deeds) == (200, [1, 2])

    assert service.error("GET", f"{place}/versions") == (404, 40401)
    assert service.error("DELETE", place) == (404, 40404)
    assert service.ask("GET", "/subjects") == (200, [])
    assert service.ask("GET", "/subjects?deleted=true") == (200, [deeds])
    assert service.ask("GET", f"{place}/versions?deleted=true") == (200, [1, 2])
    assert service.ask("GET", f"{place}/versions/1?deleted=true")[1]["deleted"] is True
    assert service.ask("POST", f"{place}?deleted=true", {"schema": schema(NUMBER)})[1]["version"] == 1
    assert service.ask("GET", f"/schemas/ids/{service.first}")[0] == 200
    assert service.ask("GET", f"/schemas/ids/{service.first}/versions") == (200, [])
    assert service.ask("GET", f"/schemas/ids/{service.first}/subjects?deleted=true") == (200, [deeds])

    assert service.delete(deeds, permanent=True) == (200, [1, 2])

    assert service.ask("GET", "/subjects?deleted=true") == (200, [])
    assert service.error("GET", f"/schemas/ids/{service.first}") == (404, 40403)
    assert service.error("DELETE", f"{place}?permanent=true") == (404, 40401)


def test_a_version_is_deleted_softly_then_for_ever(service, deeds):
    place = service.place(deeds)
    assert service.error("DELETE", f"{place}/versions/1?permanent=true") == (404, 40407)

    assert service.delete(deeds, 1) == (200, 1)

    assert service.error("DELETE", f"{place}/versions/1") == (404, 40406)
    assert service.error("GET", f"{place}/versions/1") == (404, 40402)
    assert service.ask("GET", f"{place}/versions") == (200, [2])
    assert service.ask("GET", f"{place}/versions?deletedOnly=true") == (200, [1])
    assert service.delete(deeds, 1, permanent=True) == (200, 1)
    assert service.error("DELETE", f"{place}/versions/1?permanent=true") == (404, 40402)
    assert service.delete(deeds, "latest") == (200, 2)
    assert service.ask("GET", "/subjects?deletedOnly=true") == (200, [deeds])


def test_a_deleted_schema_that_is_registered_again_is_a_new_version_with_its_old_id(service, schema, deeds):
    service.delete(deeds, 2)

    again = service.register(deeds, schema(NUMBER, AREA))

    assert again == service.second
    assert service.ask("GET", f"{service.place(deeds)}/versions?deleted=true") == (200, [1, 3])


def test_an_id_is_never_given_to_another_schema(service, schema, deeds):
    service.erase(deeds)

    new = service.register(deeds, schema(("other", "string")))

    assert new not in (service.first, service.second)
    assert service.register("back", schema(NUMBER)) == service.first  # what was written with it can be read again


def test_only_versions_that_are_there_are_compared(service, schema, deeds):
    service.delete(deeds)

    service.register(deeds, schema(("number", "string")))

    assert service.ask("GET", f"{service.place(deeds)}/versions") == (200, [3])


def test_lists_are_filtered_and_paged(service, schema):
    for subject in ("a-value", "b-value", "b-key"):
        service.register(subject, schema(NUMBER))
        service.register(subject, schema(NUMBER, AREA))
    service.delete("a-value", 1)

    assert service.ask("GET", "/subjects?subjectPrefix=b-") == (200, ["b-key", "b-value"])
    assert service.ask("GET", "/subjects?subjectPrefix=:*:b-k") == (200, ["b-key"])
    assert service.ask("GET", "/subjects?offset=1&limit=1") == (200, ["b-key"])
    assert [(s["subject"], s["version"]) for s in service.ask("GET", "/schemas?subjectPrefix=b-")[1]] == [
        ("b-key", 1),
        ("b-key", 2),
        ("b-value", 1),
        ("b-value", 2),
    ]
    latest = service.ask("GET", "/schemas?latestOnly=true&limit=2")[1]
    assert [(s["subject"], s["version"]) for s in latest] == [("a-value", 2), ("b-key", 2)]
    assert len(service.ask("GET", "/schemas?deleted=true")[1]) == 6
    assert service.ask("GET", "/schemas/ids/1/subjects?offset=1") == (200, ["b-value"])


def test_any_printable_name_is_kept_as_it_is(service, schema):
    names = ["a/b", "a%2Fb", "سازمان/سند", "a b+c", "...", "x?y#z", "%", "'; DROP TABLE x --", "🙂", "\\", ":x:y"]

    for name in names:
        service.register(name, schema(NUMBER))

    assert sorted(service.ask("GET", "/subjects")[1]) == sorted(names)
    for name in names:
        assert service.ask("GET", f"{service.place(name)}/versions/1")[1]["subject"] == name
        assert service.delete(name, 1) == (200, 1)


def test_what_can_be_no_name_is_refused(service, schema):
    body = {"schema": schema(NUMBER)}

    for encoded in ("%00", "%2E%2E", "a%0Ab", "%7F", "%FF", "a" * 2_001, "%D8%B3" * 1_001, ":.context:x"):
        assert service.error("POST", f"/subjects/{encoded}/versions", body) == (422, 42208)
        assert service.error("PUT", f"/config/{encoded}", {"compatibility": "FULL"}) == (422, 42208)


def test_the_default_context_is_no_part_of_a_name(service, schema):
    service.register(":.:deeds", schema(NUMBER))

    assert service.ask("GET", "/subjects") == (200, ["deeds"])
