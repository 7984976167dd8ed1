from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumers.evidence.decision import Agreements, Denial, Standing
from consumers.evidence.freshness import Staleness
from consumers.status import (
    Absence,
    SourceStatus,
    Status,
    ViewStatus,
    agency_statuses,
    procedure_statuses,
)
from deploy.cli.status import facts
from registry.catalogue import load_catalogue

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LICENCE = "vocational-licence"
BENEFIT = "unemployment-benefit"


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(None)


@pytest.fixture
def live(catalogue):
    return {
        one.id: ViewStatus(
            view=one.id,
            agency=one.agency,
            rows=3,
            rows_are_estimated=False,
            position=4,
            end_of_log=5,
            as_of=NOW - timedelta(seconds=1),
        )
        for one in catalogue.record_types.values()
    }


def lacks(catalogue, views, *, now=NOW, standings=None):
    agreements = Agreements(catalogue.agreements.values(), standings)
    return {one.procedure: one.missing for one in procedure_statuses(catalogue, views.values(), agreements, now)}


def test_services_whose_views_are_live_and_agreements_valid_are_document_free(catalogue, live):
    found = lacks(catalogue, live)

    assert {procedure for procedure, missing in found.items() if not missing} == set(catalogue.procedures) - {LICENCE}


def test_a_service_says_which_agreement_it_lacks_and_which_one_side_has_not_accepted(catalogue, live):
    missing = lacks(catalogue, live)[LICENCE]

    assert {(one.evidence_type, one.reason) for one in missing} == {
        ("insurance-history", Denial.NOT_ACCEPTED),
        ("tax-clearance", Denial.NO_AGREEMENT),
    }
    assert all(
        one.requirement and one.provider == catalogue.evidence_types[one.evidence_type].provider for one in missing
    )


def test_where_no_agency_has_published_every_view_is_named(catalogue):
    missing = lacks(catalogue, {})[BENEFIT]

    assert {one.reason for one in missing} == {Absence.NO_EVENTS}
    assert "labour-relations.employment" in {one.view for one in missing}


def test_a_view_older_than_its_contract_promises_is_stale(catalogue, live):
    view = "civil-registry.identity"
    promised = catalogue.record_types[view].freshness
    live[view] = replace(live[view], as_of=NOW - promised - timedelta(seconds=1))

    (missing,) = lacks(catalogue, live)[BENEFIT]

    assert (missing.view, missing.reason) == (view, Staleness.OLDER_THAN_PROMISED)


def test_a_view_that_has_never_been_read_to_its_end_proves_nothing(catalogue, live):
    view = "civil-registry.identity"
    live[view] = replace(live[view], as_of=None)

    (missing,) = lacks(catalogue, live)[BENEFIT]

    assert missing.reason is Staleness.NEVER_CAUGHT_UP


def test_a_requirement_with_another_way_is_met_by_it(catalogue, live):
    ways = {name for one in catalogue.procedures[BENEFIT].requirements for way in one.evidence_lists for name in way}
    assert {"tax-clearance", "lower-income"} <= ways
    del live["tax-administration.tax-status"]

    assert lacks(catalogue, live)[BENEFIT] == ()


def test_agreements_that_have_expired_or_are_suspended_make_a_service_need_documents_again(catalogue, live):
    later = NOW + timedelta(days=36_500)
    fresh = {view: replace(one, as_of=later) for view, one in live.items()}
    suspended = next(one.id for one in catalogue.agreements.values() if one.procedure == BENEFIT)

    expired = lacks(catalogue, fresh, now=later)[BENEFIT]
    held_up = lacks(catalogue, live, standings={suspended: Standing.SUSPENDED})[BENEFIT]

    assert {one.reason for one in expired} == {Denial.EXPIRED}
    assert [(one.reason, one.agreement) for one in held_up] == [(Denial.SUSPENDED, suspended)]


def test_an_agency_is_counted_for_what_it_provides_and_for_what_it_offers(catalogue, live):
    live["welfare.benefit"] = replace(live["welfare.benefit"], rows=0)
    views = tuple(live.values())
    procedures = procedure_statuses(catalogue, views, Agreements(catalogue.agreements.values()), NOW)

    found = {one.agency: one for one in agency_statuses(catalogue, views, procedures)}

    welfare = found["welfare"]
    assert (welfare.record_types, welfare.record_types_with_events) == (2, 1)
    assert (welfare.procedures, welfare.document_free) == (1, 0)
    assert sum(one.procedures for one in found.values()) == len(catalogue.procedures)


def test_the_facts_for_a_machine_say_what_follows_from_them(catalogue, live):
    views = tuple(live.values())
    procedures = procedure_statuses(catalogue, views, Agreements(catalogue.agreements.values()), NOW)
    source = SourceStatus(view="v", source="s", highest_sequence=9, received=7, recorded_at=NOW)

    said = facts(Status(at=NOW, views=views, sources=(source,), quarantine=(), procedures=procedures, agencies=()))

    assert said["document_free"] == {"procedures": len(procedures) - 1, "of": len(procedures)}
    assert {one["lag_events"] for one in said["views"]} == {1}
    assert [one["missing"] for one in said["sources"]] == [2]
