from collections import defaultdict
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bus.columns import Decoder
from bus.national_id import canonical_national_id
from bus.reasons import Reason
from consumers.fold import Fact, fold, holding, timeline
from deploy.demo.population import populate
from deploy.demo.truth import holding as truly_holding
from deploy.demo.truth import midnight
from registry.catalogue import load_catalogue
from registry.composition import event_schema
from registry.contracts import Severity
from registry.quality import Gate

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def population():
    return populate(persons=800, seed=11, now=NOW)


def told(register):
    """The facts that a journal tells, by record."""
    records = defaultdict(list)
    for position, entry in enumerate(register.journal):
        records[entry.record_type, entry.national_id, entry.record_key].append(
            Fact(
                event_id=entry.event_id,
                change_kind=entry.change_kind,
                previous_event_id=entry.previous_event_id,
                effective_from=midnight(entry.effective_from),
                effective_to=midnight(entry.effective_to) if entry.effective_to else None,
                body=entry.body,
                known_at=entry.recorded_at,
                position=position,
            )
        )
    return records


@pytest.mark.parametrize("days_ahead", [-2000, -300, 0, 40])
def test_all_that_the_registers_tell_amounts_to_the_truth(population, days_ahead):
    day = NOW.date() + timedelta(days=days_ahead)

    said = {
        record: fact.body
        for register in population.registers.values()
        for record, log in told(register).items()
        if (fact := holding(timeline(fold(log).facts), midnight(day)))
    }

    assert said == {record: spell.body for record, spell in truly_holding(population.truth, day).items()}


def test_the_journals_have_every_blemish_of_real_registers(population):
    entries = [entry for register in population.registers.values() for entry in register.journal]
    ids = [entry.event_id for entry in entries]
    kinds = {entry.change_kind.value for entry in entries}

    assert kinds == {"created", "ceased", "corrected", "annulled"}
    assert len(set(ids)) < len(ids)
    assert any(entry.effective_from > NOW.date() for entry in entries)
    assert any((entry.recorded_at.date() - entry.effective_from).days > 100 for entry in entries)
    assert all(entry.recorded_at < NOW for entry in entries)
    assert all(entry.event_id.version == 7 for entry in entries)


def test_one_seed_makes_one_population_and_another_makes_another():
    first = populate(persons=60, seed=3, now=NOW)

    again = populate(persons=60, seed=3, now=NOW)
    other = populate(persons=60, seed=4, now=NOW)

    assert again.registers == first.registers
    assert other.registers != first.registers


def test_everybody_has_a_valid_id_of_their_own(population):
    ids = [person.national_id for person in population.nation.persons] + [population.hero.national_id]

    assert len(ids) == len(set(ids)) == 800
    assert [canonical_national_id(text, "iran") for text in ids] == ids


def test_no_record_has_two_truths_that_begin_on_one_day(population):
    starts = [(s.record_type, s.national_id, s.record_key, s.effective_from) for s in population.truth]

    assert len(starts) == len(set(starts))


def test_every_body_has_the_fields_of_its_contract(population):
    contracts = load_catalogue(None).record_types

    assert set(population.registers) == set(contracts) - {load_catalogue(None).mandates}
    for record_type, register in population.registers.items():
        fields = [field["name"] for field in contracts[record_type].body["fields"]]
        assert all(list(spell.body) == fields for spell in register.spells)


def test_each_register_has_lines_that_no_desk_may_take(population):
    for register in population.registers.values():
        assert register.spoilt
        for entry, reason in register.spoilt:
            assert reason in (Reason.QUALITY_RULE, Reason.INVALID_NATIONAL_ID)
            assert entry.event_id not in {one.event_id for one in register.journal}


def broken_rules(contract, bodies):
    """For each body the rules that it breaks."""
    masks = Gate(contract).broken(pl.DataFrame(bodies, schema=schema_of(contract)))
    return [{rule for rule in masks.columns if row[rule]} for row in masks.iter_rows(named=True)]


def schema_of(contract):
    """The columns of a contract's bodies."""
    columns = Decoder(0, event_schema(contract)).columns
    return {field["name"]: columns[field["name"]] for field in contract.body["fields"]}


def test_what_is_doubtful_breaks_a_rule_that_flags_and_what_is_spoilt_one_that_refuses(population):
    contracts = load_catalogue(None).record_types

    for record_type, register in population.registers.items():
        contract = contracts[record_type]
        flagging = {rule.id: rule.field for rule in contract.rules if rule.severity is Severity.FLAG}
        told = {entry.event_id: entry.body for entry in register.journal if entry.body}
        marked = {
            event_id: {flagging[rule] for rule in broken}
            for event_id, broken in zip(told, broken_rules(contract, list(told.values())), strict=True)
            if broken
        }
        spoilt = [entry.body for entry, reason in register.spoilt if reason is Reason.QUALITY_RULE]

        assert marked == {event_id: {field} for event_id, field in register.doubtful.items()}
        assert all(broken - set(flagging) for broken in broken_rules(contract, spoilt))
