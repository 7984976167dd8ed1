import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from bus.envelope import ChangeKind
from deploy.cli.audit import app

START = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = "۰۰۱۲۳۴۵۶۷۹"
OTHER = "0000000027"


def run(*words, stdin=None):
    done = CliRunner().invoke(app, list(words), input=stdin, catch_exceptions=False)
    return done.exit_code, done.stdout


def run_json(*words, stdin=None):
    code, said = run(*words, "--json", stdin=stdin)
    return code, json.loads(said)


@pytest.fixture
def bus(published_bus):
    """A person with a fact that was annulled and one that was corrected; sent again, and one that cannot be taken."""
    subject = published_bus.subject(PERSON)
    wrong = published_bus.event(sequence=1, subject=subject, word="الف")
    first = published_bus.event(sequence=3, subject=subject, word="ب", effective_from=START + timedelta(days=30))
    events = [
        wrong,
        published_bus.event(
            sequence=2, subject=subject, word="الف", change_kind=ChangeKind.ANNULLED, previous_event_id=wrong.event_id
        ),
        first,
        published_bus.event(
            sequence=4,
            subject=subject,
            word="ب",
            share=0.5,
            change_kind=ChangeKind.CORRECTED,
            previous_event_id=first.event_id,
        ),
        wrong,
    ]
    published_bus.send(*events)
    published_bus.send_bytes((subject.bytes, b"no frame"))
    published_bus.materialize()
    return published_bus


@pytest.mark.usefixtures("bus")
def test_a_view_that_is_equal_ends_with_zero():
    code, said = run_json("diff")

    assert code == 0
    assert [one["is_equal"] for one in said] == [True]
    assert said[0]["replayed"]["passed_by"] == {"duplicate": 1, "unknown-magic-byte": 1}


def test_a_view_that_was_changed_ends_with_one_and_names_the_event_but_not_its_words(bus):
    bus.connection.execute(f'UPDATE "{bus.record_type.id}".facts SET share = 0.75 WHERE share = 0.5')

    code, said = run("diff", bus.record_type.id)

    assert code == 1
    assert "columns differ" in said
    assert "share" in said
    assert "1 difference" in said
    assert "0.75" not in said
    assert "0.5" not in said


def test_a_replay_says_where_it_can_be_looked_at(bus):
    code, said = run_json("replay", bus.record_type.id, "--into", "mine", "--until", "2999-01-01")

    assert code == 0
    assert said[0]["database_schema"] == f"replay_mine:{bus.record_type.id}"
    assert len(bus.facts(said[0]["database_schema"])) == said[0]["facts"] == 4


@pytest.mark.parametrize("witness", ["log", "view"])
def test_a_timeline_tells_what_became_of_each_event_by_log_and_view_alike(bus, witness):
    code, said = run("timeline", bus.record_type.id, "-", "--from", witness, stdin=PERSON + "\n")

    assert code == 0
    for told in ("void by #2", "undoes #1", "void by #4", "stands for #3", "share: 0.5"):
        assert told in said
    assert ("sent again" in said, "quarantine: unknown-magic-byte" in said) == ((witness == "log"),) * 2


def test_a_timeline_by_earlier_knowledge_tells_what_was_known(bus):
    _, everything = run_json("timeline", bus.record_type.id, PERSON)
    before = str(bus.facts()[0][8] - timedelta(seconds=1))

    code, said = run_json("timeline", bus.record_type.id, PERSON, "--known-at", before)

    assert code == 0
    assert (len(everything["events"]), len(everything["periods"])) == (6, 1)
    assert said == {"events": [], "periods": []}


def test_a_person_of_whom_nothing_is_known_is_told_so(bus):
    code, said = run("timeline", bus.record_type.id, OTHER)

    assert (code, "knows nothing" in said) == (0, True)
    assert OTHER not in said


def test_accesses_tell_who_asked_and_what_left(bus):
    evidence = json.dumps([{"evidence_type": "holdings", "claims": ["share"]}, {"evidence_type": "x", "claims": []}])
    for subject, decision in ((bus.subject(PERSON), "granted"), (bus.subject(OTHER), "denied")):
        bus.connection.execute(
            "INSERT INTO yekbar.accesses (access_id, at, requester, subject, legal_basis, decision, evidence)"
            " VALUES (%s, now(), 'some-agency', %s, 'act 1', %s, %s)",
            (uuid4(), subject, decision, evidence),
        )

    code, said = run("accesses", "-", stdin=PERSON + "\n")
    _, everything = run_json("accesses")
    _, none = run_json("accesses", "--since", "2999-01-01")

    assert code == 0
    assert all(word in said for word in ("some-agency", "act 1", "granted", "holdings: share"))
    assert "denied" not in said
    assert [one["decision"] for one in everything] == ["denied", "granted"]
    assert none == []


def test_a_log_is_verified_and_a_missing_sequence_ends_with_one(bus):
    code, said = run("verify")
    assert (code, "every log is whole" in said) == (0, True)
    bus.send(bus.event(sequence=7))

    code, said = run("verify")

    assert code == 1
    assert "sequences that never came" in said
    assert "5–6" in said


@pytest.mark.usefixtures("published_bus")
@pytest.mark.parametrize("words", [["replay", "--until-position", "0:1"], ["replay", "x.y", "--until-position", "one"]])
def test_a_position_that_means_nothing_is_refused(words):
    with pytest.raises(Exception, match="position"):
        run(*words)
