"""Schemas that use the named types of others."""

import pytest

PLACE = {"name": "geo.Place", "subject": "places", "version": 1}
SITED = ("place", "geo.Place")


@pytest.fixture
def places(service, schema):
    """A place, and deeds that refer to it."""
    service.place_id = service.register("places", schema(("code", "string"), name="Place", namespace="geo"))
    service.deed_id = service.register("deeds", schema(SITED), references=[PLACE])
    return service


def test_references_are_kept_and_found_from_both_ends(places):
    _, deed = places.ask("GET", "/subjects/deeds/versions/1")

    assert deed["references"] == [PLACE]
    assert places.ask("GET", f"/schemas/ids/{places.deed_id}")[1]["references"] == [PLACE]
    assert places.ask("GET", "/subjects/places/versions/1/referencedby") == (200, [places.deed_id])
    assert places.ask("GET", "/subjects/deeds/versions/latest/referencedby") == (200, [])
    assert places.error("GET", "/subjects/places/versions/2/referencedby") == (404, 40402)


def test_a_reference_is_part_of_what_makes_a_schema_equal(places, schema):
    body = {"schema": schema(SITED), "references": [PLACE]}

    assert places.ask("POST", "/subjects/deeds", body)[1]["version"] == 1
    assert places.register("others", **body) == places.deed_id
    assert places.error("POST", "/subjects/deeds", {"schema": schema(SITED)}) == (422, 42201)


def test_a_reference_to_the_latest_is_pinned_to_its_number(places, schema):
    places.register("places", schema(("code", "string"), ("city", "string", ""), name="Place", namespace="geo"))

    places.register("sites", schema(SITED, name="Site"), references=[{**PLACE, "version": -1}])

    assert places.ask("GET", "/subjects/sites/versions/1")[1]["references"] == [{**PLACE, "version": 2}]


@pytest.mark.parametrize("change", [{"version": 2}, {"subject": "none"}, {"subject": "\u0000"}, {"version": 2**31}])
def test_a_reference_to_nowhere_is_refused(places, schema, change):
    body = {"schema": schema(SITED), "references": [{**PLACE, **change}]}

    status, code = places.error("POST", "/subjects/sites/versions", body)

    assert (status, code) in {(422, 42201), (400, 400)}


def test_a_new_schema_may_not_refer_to_a_deleted_version(places, schema):
    places.register("places", schema(("code", "string"), ("city", "string", ""), name="Place", namespace="geo"))
    places.delete("places", 2)

    body = {"schema": schema(SITED, name="Site"), "references": [{**PLACE, "version": 2}]}

    assert places.error("POST", "/subjects/sites/versions", body) == (422, 42201)


def test_what_others_refer_to_is_not_deleted(places):
    for path in ("/subjects/places", "/subjects/places/versions/1"):
        assert places.error("DELETE", path) == (422, 42206)

    places.delete("deeds")
    assert places.delete("places") == (200, [1])
    for path in ("/subjects/places", "/subjects/places/versions/1"):
        assert places.error("DELETE", f"{path}?permanent=true") == (422, 42206)

    places.delete("deeds", permanent=True)
    assert places.delete("places", permanent=True) == (200, [1])


def test_a_deleted_version_that_others_refer_to_keeps_its_number(places, schema):
    places.delete("deeds")
    places.delete("places")

    again = places.register("places", schema(("code", "string"), name="Place", namespace="geo"))

    assert again == places.place_id
    assert places.ask("GET", "/subjects/places/versions?deleted=true") == (200, [1, 2])


def test_compatibility_looks_into_what_is_referred_to(places, schema):
    places.ask("PUT", "/config/places", {"compatibility": "NONE"})
    places.register("places", schema(("code", "int"), name="Place", namespace="geo"))
    body = {"schema": schema(SITED), "references": [{**PLACE, "version": 2}]}

    status, facts = places.ask("POST", "/subjects/deeds/versions", body)

    assert status == 409
    assert "place.code: it is 'int' in the new schema, 'string' in the earlier one" in facts["message"]


def test_references_lead_over_others_and_each_is_used_once(places, schema):
    deed = {"name": "Deed", "subject": "deeds", "version": 1}

    places.register("estates", schema(("deed", "Deed"), SITED, name="Estate"), references=[deed, PLACE])

    assert places.ask("GET", "/subjects/estates/versions/1")[1]["references"] == [deed, PLACE]


def test_references_that_lead_back_to_themselves_end(service, schema):
    for subject in ("a", "b"):
        service.ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"})
    to = {subject: [{"name": subject.upper(), "subject": subject, "version": 1}] for subject in ("a", "b")}
    service.register("a", schema(name="A"), id=1, version=1)
    service.register("b", schema(("a", "A"), name="B"), id=2, version=1, references=to["a"])
    service.register("a", schema(("c", "string"), name="C"), id=3, version=1, references=to["b"])

    status, _ = service.ask(
        "POST", "/subjects/c/versions", {"schema": schema(("b", "B"), name="D"), "references": to["b"]}
    )

    assert status in (200, 422)
