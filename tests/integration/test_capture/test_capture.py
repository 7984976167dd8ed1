import copy
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from captured_table import CapturedTable, Recorded

from bus.kafka import admin
from bus.topics import records_topic
from producers.capture.capturing import source_of
from producers.capture.state import CaptureState
from producers.errors import MappingError, MustDecideError, TopicMissingError, UnreadableError, WrongJournalError
from producers.sync.outcome import Accepted

RECORDED = Recorded(Path(__file__).with_name("recorded.json"))
PERSONS = {1: "0012345679", 2: "0499370899", 4: "0084575948"}
KINDS = ["ceased"] * 2 + ["corrected"] + ["created"] * 5
SNAPSHOT, MOVED, STREET, DELETED = 2, 2, 3, 4  # places among the recorded messages


@pytest.fixture
def make_table(stack, tmp_path):
    made = []

    def make(**said):
        folder = tmp_path / f"state-{len(made)}"
        folder.mkdir()
        made.append(CapturedTable(stack.endpoints, folder, **said))
        return made[-1]

    return make


def in_form(table, form):
    return list(RECORDED.avro(table.registry) if form == "avro" else getattr(RECORDED, form)())


def changed(message, **values):
    """A recorded message that says something else of its row, as a later change."""
    key, value = copy.deepcopy(message)
    payload = value.get("payload", value)
    payload["after"] |= values
    payload["source"]["lsn"] += 1_000_000
    return key, value


@pytest.mark.parametrize("form", ["with_schemas", "avro"])
def test_what_the_connector_wrote_is_told_in_every_form_as_it_happened(make_table, form):
    table = make_table()
    table.send(in_form(table, form))

    outcome = table.capture()

    assert table.refused == []
    assert sorted(table.kinds()) == KINDS
    assert (outcome.rows, outcome.same, outcome.events) == (9, 1, 8)
    events = table.events()
    assert events["sequence"].to_list() == list(range(1, 9))
    of_one = events.filter(pl.col("subject") == table.pseudonymizer.pseudonym(PERSONS[1]))
    assert of_one["effective_from"].dt.date().to_list() == [date(2026, 1, 1), date(2026, 2, 1), date(2026, 2, 1)]
    assert of_one["city"].to_list() == ["شیراز", "مرودشت", "مرودشت"]
    assert of_one["street"].to_list() == [None, None, "خیابان"]
    committed = RECORDED.messages[MOVED][3]["source"]["ts_us"]
    assert of_one["recorded_at"][1].timestamp() * 1_000_000 == pytest.approx(committed, abs=1)
    holding = {subject: row["city"] for (subject, _), row in table.holds().items()}
    assert holding == {table.pseudonymizer.pseudonym(PERSONS[1]): "مرودشت"}


def test_without_schemas_a_day_that_is_a_time_is_refused_with_what_to_do(make_table):
    table = make_table()
    table.send(in_form(table, "plain"))

    with pytest.raises(MappingError, match="moved_on") as refused:
        table.capture()

    assert "schemas.enable" in refused.value.remedy
    assert table.events().height == 0


def test_without_schemas_what_names_itself_is_told(make_table):
    fields = {
        "national_id": {"column": "national_code"},
        "effective_from": {"column": "changed_at"},
        "postal_code": "postal_code",
        "province": "province",
        "city": "city",
        "street": "street",
    }
    table = make_table(fields=fields, row="fact")
    table.send(in_form(table, "plain"))

    outcome = table.capture()

    assert table.refused == []
    assert outcome.told == {"created": 4, "corrected": 2, "annulled": 2}


def test_a_capture_goes_on_where_it_was_and_tells_nothing_twice(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    for message in messages:
        table.send([message])
        table.capture()

    again = table.capture()

    assert again.rows == 0
    assert sorted(table.kinds()) == KINDS


def test_a_capture_promises_no_more_than_the_last_commit_that_it_read(make_table):
    table = make_table()
    table.send(in_form(table, "with_schemas"))

    table.capture()

    state = CaptureState(table.folder / "state")
    state.open(source=source_of(table.mapping), topic=records_topic(table.record_type.id))
    (committed,) = state.committed().values()
    state.close()
    assert committed.timestamp() * 1_000_000 == pytest.approx(RECORDED.messages[-1][3]["source"]["ts_us"], abs=1)


def test_what_a_connector_sends_again_after_a_crash_is_not_told_again(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    table.send(messages)
    table.capture()

    table.send(messages[SNAPSHOT:])
    again = table.capture()

    assert (again.rows, again.events) == (len(messages) - SNAPSHOT, 0)
    assert sorted(table.kinds()) == KINDS


def test_a_capture_whose_state_was_lost_tells_nothing_twice(make_table):
    table = make_table()
    table.send(in_form(table, "with_schemas"))
    table.capture()
    for part in table.folder.glob("state*"):
        part.unlink()

    again = table.capture()

    assert again.events == 0
    assert sorted(table.kinds()) == KINDS


def test_tombstones_messages_of_the_log_and_transactions_say_nothing_of_a_row(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    logical = copy.deepcopy(messages[0][1])
    logical["payload"] |= {"op": "m", "before": None, "after": None}
    table.send([messages[0], (messages[0][0], None), (None, logical), messages[1]])

    outcome = table.capture()

    assert outcome.told == {"created": 2}


def test_a_row_that_is_refused_is_told_of_and_the_good_ones_go_on(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    table.send([changed(messages[0], national_code="0012345670"), changed(messages[1], postal_code=None), messages[5]])

    outcome = table.capture()

    assert outcome.told == {"created": 1}
    assert {(one.key, one.column) for one in table.refused} == {("1", "national_code"), ("2", "postal_code")}
    table.send([changed(messages[2])])
    assert table.capture().told == {"created": 1}


def test_a_change_of_a_columns_type_stops_the_capture_until_it_is_accepted(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    later = json.loads(
        json.dumps(messages[3]).replace('"io.debezium.time.Date"', '"org.apache.kafka.connect.data.Date"')
    )
    table.send([*messages[:3], later])

    with pytest.raises(MustDecideError, match="moved_on") as stopped:
        table.capture()

    assert "--accept-columns" in stopped.value.remedy
    assert table.kinds() == ["created"] * 3
    assert table.capture(accepted=Accepted(columns=True)).told == {"corrected": 1}


def test_a_table_that_was_emptied_stops_the_capture_until_it_is_accepted(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    emptied = copy.deepcopy(messages[0][1])
    emptied["payload"] |= {"op": "t", "before": None, "after": None}
    table.send([*messages[:2], (None, emptied)])

    with pytest.raises(MustDecideError, match="2 rows are gone"):
        table.capture()

    assert table.capture(accepted=Accepted(gone=True)).told == {"ceased": 2}


def test_a_large_value_that_the_connector_left_out_stops_the_capture(make_table):
    table = make_table()
    messages = in_form(table, "with_schemas")
    table.send([messages[0], changed(messages[2], street="__debezium_unavailable_value")])

    with pytest.raises(MustDecideError, match="left out") as stopped:
        table.capture()

    assert "REPLICA IDENTITY FULL" in stopped.value.remedy
    assert table.kinds() == ["created"]


@pytest.mark.parametrize(
    ("value", "said"),
    [({"id": 1, "city": "قم"}, "no 'op'"), (b"\x01\x02", "neither JSON nor framed Avro"), ([1], "neither JSON")],
)
def test_what_is_no_change_event_is_refused_with_what_to_do(make_table, value, said):
    table = make_table()
    table.send([({"id": 1}, value)])

    with pytest.raises(UnreadableError, match=said):
        table.capture()


def test_positions_of_another_topic_or_of_one_made_anew_are_refused(make_table):
    table = make_table()
    table.send(in_form(table, "with_schemas")[:2])
    table.capture()
    client = admin(table.kafka)
    client.delete_topics([table.topic])[table.topic].result(30)

    with pytest.raises(TopicMissingError):
        table.capture()

    table.make_topic()
    with pytest.raises(WrongJournalError, match="earlier life"):
        table.capture()


def test_messages_without_a_key_need_one_in_the_mapping(make_table):
    keyed, keyless = make_table(key="id"), make_table()
    messages = [(None, value) for _, value in in_form(keyed, "with_schemas")]
    keyed.send(messages)
    keyless.send(messages)

    assert keyed.capture().events == len(KINDS)
    with pytest.raises(MappingError, match="no key"):
        keyless.capture()
