"""Compatibility levels and modes, of all names and of one."""

import pytest

NUMBER = ("number", "int")
OWNER = ("owner", "string")


def test_the_level_is_backward_until_another_is_set(service):
    assert service.ask("GET", "/config") == (200, {"compatibilityLevel": "BACKWARD"})
    assert service.error("GET", "/config/deeds") == (404, 40408)
    assert service.ask("GET", "/config/deeds?defaultToGlobal=true") == (200, {"compatibilityLevel": "BACKWARD"})


def test_a_name_has_its_own_level_until_it_is_deleted(service):
    assert service.ask("PUT", "/config", {"compatibility": "full"}) == (200, {"compatibility": "FULL"})
    assert service.ask("PUT", "/config/deeds", {"compatibility": "NONE"}) == (200, {"compatibility": "NONE"})

    assert service.ask("GET", "/config") == (200, {"compatibilityLevel": "FULL"})
    assert service.ask("GET", "/config/deeds") == (200, {"compatibilityLevel": "NONE"})
    assert service.ask("DELETE", "/config/deeds") == (200, {"compatibilityLevel": "NONE"})
    assert service.error("GET", "/config/deeds") == (404, 40408)
    assert service.error("DELETE", "/config/deeds") == (404, 40401)
    assert service.ask("GET", "/config/deeds?defaultToGlobal=true") == (200, {"compatibilityLevel": "FULL"})
    assert service.ask("DELETE", "/config") == (200, {"compatibilityLevel": "FULL"})
    assert service.ask("GET", "/config") == (200, {"compatibilityLevel": "BACKWARD"})


@pytest.mark.parametrize(
    ("level", "takes_new_field", "takes_less_fields"),
    [("NONE", True, True), ("BACKWARD", False, True), ("FORWARD", True, False), ("FULL", False, False)],
)
def test_the_level_of_a_name_decides_what_may_follow(service, schema, level, takes_new_field, takes_less_fields):
    service.ask("PUT", "/config/grows", {"compatibility": level})
    service.ask("PUT", "/config", {"compatibility": level})
    service.register("grows", schema(NUMBER))
    service.register("shrinks", schema(NUMBER, OWNER))

    grown, _ = service.ask("POST", "/subjects/grows/versions", {"schema": schema(NUMBER, OWNER)})
    shrunk, _ = service.ask("POST", "/subjects/shrinks/versions", {"schema": schema(NUMBER)})

    assert (grown, shrunk) == (200 if takes_new_field else 409, 200 if takes_less_fields else 409)


def test_a_wrong_level_or_a_setting_that_is_not_kept_is_refused(service):
    assert service.error("PUT", "/config", {"compatibility": "SIDEWARD"}) == (422, 42203)
    assert service.error("PUT", "/config/deeds", {"compatibility": "SIDEWARD"}) == (422, 42203)
    assert service.error("PUT", "/config/deeds", {"compatibilityGroup": "major"})[0] == 400
    assert service.error("PUT", "/config/deeds", {"compatibility": 5})[0] == 400


def test_normalizing_can_be_set_and_the_rest_stays(service):
    service.ask("PUT", "/config/deeds", {"compatibility": "FULL"})

    assert service.ask("PUT", "/config/deeds", {"normalize": True})[1] == {"compatibility": "FULL", "normalize": True}

    service.register("deeds", '{"fields": [], "name": "n.Deed", "type": "record"}')
    assert service.client.get("/subjects/deeds/versions/1/schema").text == (
        '{"type":"record","name":"n.Deed","fields":[]}'
    )
    assert service.ask("GET", "/config/deeds") == (200, {"compatibilityLevel": "FULL", "normalize": True})


def test_the_mode_is_readwrite_until_another_is_set(service):
    assert service.ask("GET", "/mode") == (200, {"mode": "READWRITE"})
    assert service.error("GET", "/mode/deeds") == (404, 40409)
    assert service.ask("GET", "/mode/deeds?defaultToGlobal=true") == (200, {"mode": "READWRITE"})
    assert service.ask("PUT", "/mode/deeds", {"mode": "readonly"}) == (200, {"mode": "READONLY"})
    assert service.ask("GET", "/mode/deeds") == (200, {"mode": "READONLY"})
    assert service.ask("DELETE", "/mode/deeds") == (200, {"mode": "READONLY"})
    assert service.error("DELETE", "/mode/deeds") == (404, 40401)
    assert service.error("PUT", "/mode", {"mode": "WRITEONLY"}) == (422, 42204)


def test_nothing_is_written_where_the_mode_forbids_it(service, schema):
    first = service.register("deeds", schema(NUMBER))
    service.ask("PUT", "/mode", {"mode": "READONLY"})

    new = service.error("POST", "/subjects/deeds/versions", {"schema": schema(NUMBER, ("area", "int", 0))})

    assert new == (422, 42205)
    assert service.error("DELETE", "/subjects/deeds") == (422, 42205)
    assert service.error("DELETE", "/subjects/deeds/versions/1") == (422, 42205)
    assert service.error("PUT", "/config/deeds", {"compatibility": "FULL"}) == (422, 42205)
    assert service.register("deeds", schema(NUMBER)) == first  # it is there, so nothing is written
    assert service.ask("GET", "/subjects/deeds/versions") == (200, [1])


def test_a_names_own_mode_stands_unless_all_are_overridden(service, schema):
    service.ask("PUT", "/mode/deeds", {"mode": "READWRITE"})
    service.ask("PUT", "/mode", {"mode": "READONLY"})
    service.register("deeds", schema(NUMBER))

    service.ask("PUT", "/mode", {"mode": "READONLY_OVERRIDE"})

    body = {"schema": schema(("number", "long"))}
    assert service.error("POST", "/subjects/deeds/versions", body) == (422, 42205)


def test_schemas_are_imported_with_their_ids_and_numbers(service, schema):
    body = {"schema": schema(NUMBER), "id": 70, "version": 7}
    assert service.error("POST", "/subjects/deeds/versions", body) == (422, 42205)
    service.ask("PUT", "/mode/deeds", {"mode": "IMPORT"})

    assert service.register("deeds", **body) == 70

    assert service.ask("GET", "/subjects/deeds/versions") == (200, [7])
    assert service.register("deeds", schema(NUMBER), id=70) == 70
    other = {"schema": schema(("number", "string")), "id": 70}
    assert service.error("POST", "/subjects/deeds/versions", other) == (422, 42205)
    assert service.error("POST", "/subjects/deeds/versions", {"schema": schema(OWNER)}) == (422, 42205)
    assert service.register("deeds", schema(("number", "string")), id=71) == 71  # nothing is compared
    assert service.register("other", schema(NUMBER)) == 70
    assert service.register("other2", schema(OWNER)) == 72


def test_import_needs_an_empty_place_or_force(service, schema):
    service.register("deeds", schema(NUMBER))

    assert service.error("PUT", "/mode/deeds", {"mode": "IMPORT"}) == (422, 42205)
    assert service.error("PUT", "/mode", {"mode": "IMPORT"}) == (422, 42205)
    assert service.ask("PUT", "/mode/deeds?force=true", {"mode": "IMPORT"}) == (200, {"mode": "IMPORT"})


def test_import_clears_deleted_versions(service, schema):
    service.register("deeds", schema(NUMBER))
    service.delete("deeds")

    service.ask("PUT", "/mode/deeds", {"mode": "IMPORT"})

    assert service.ask("GET", "/subjects?deleted=true") == (200, [])


def test_what_was_set_for_a_name_goes_with_its_last_version(service, schema):
    service.register("deeds", schema(NUMBER))
    service.ask("PUT", "/config/deeds", {"compatibility": "NONE"})
    service.delete("deeds")
    assert service.ask("GET", "/config/deeds")[0] == 200

    service.delete("deeds", permanent=True)

    assert service.error("GET", "/config/deeds") == (404, 40408)
