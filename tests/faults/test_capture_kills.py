import random
import signal
from datetime import date, timedelta
from pathlib import Path

from captured_table import CapturedTable, Recorded
from forks import Forks
from synced_table import person

KILLS = 20
ROWS = 150
TOWNS = ("شیراز", "قم", "یزد")
SUPPORT = Path(__file__).parents[1] / "support"
RECORDED = Recorded(Path(__file__).parents[1] / "integration" / "test_capture" / "recorded.json")


class Agency:
    """An agency's table, and what its connector says of each change; now and then the connector repeats itself."""

    def __init__(self, chance):
        self.chance = chance
        self.rows = {}
        self.said = []
        (self._key, self._value) = next(iter(RECORDED.plain()))
        self._schemas = [RECORDED.schemas[RECORDED.messages[0][place]] for place in (0, 2)]

    def change(self, times):
        """Messages of changes, in their order."""
        messages = [self._one() for _ in range(times)]
        repeated = self.said[-self.chance.randrange(1, 20) :] if self.said else []
        self.said += messages
        return [*repeated, *messages]

    def _one(self):
        number = self.chance.randrange(ROWS)
        before = self.rows.get(number)
        if before is not None and self.chance.random() < 0.2:
            del self.rows[number]
            return self._message("d", number, before, None)
        day = date(2015 + self.chance.randrange(10), 1, 1)
        row = {
            **self._value["after"],
            "id": number,
            "national_code": person(number),
            "postal_code": str(1_000_000_000 + number),
            "city": self.chance.choice(TOWNS),
            "moved_on": (day - date(1970, 1, 1)) // timedelta(days=1),
        }
        self.rows[number] = row
        return self._message("u" if before else "c", number, before, row)

    def _message(self, operation, number, before, after):
        place = len(self.said) * 1_000 + self.chance.randrange(10**12)
        said = {
            **self._value,
            "op": operation,
            "before": before,
            "after": after,
            "source": {**self._value["source"], "lsn": place},
        }
        key_schema, value_schema = self._schemas
        return {"schema": key_schema, "payload": {"id": number}}, {"schema": value_schema, "payload": said}


def test_a_capture_that_is_killed_anywhere_loses_nothing_and_tells_nothing_twice(stack, tmp_path):
    chance = random.Random(1405)
    table = CapturedTable(stack.endpoints, tmp_path)
    agency = Agency(chance)
    forks = Forks(
        "capture_process.py",
        stack.endpoints,
        folder=str(table.folder),
        topic=table.topic,
        agency=table.record_type.agency,
        messages_together=50,
    )
    try:
        table.send(agency.change(200))
        forks.run()
        table.send(agency.change(60))
        longest_s = forks.run()[1]
        killed = 0
        while killed < KILLS:
            table.send(agency.change(60))
            killed += forks.run(killed_after_s=chance.uniform(0, longest_s))[0] == -signal.SIGKILL
        done = forks.run()[0]
    finally:
        forks.close()

    events = table.events()
    assert done == 0
    assert events["sequence"].to_list() == list(range(1, events.height + 1))
    assert events["event_id"].n_unique() == events.height
    assert in_log(table) == {
        table.pseudonymizer.pseudonym(row["national_code"]): (row["postal_code"], row["city"], row["moved_on"])
        for row in agency.rows.values()
    }
    assert events_of_an_undisturbed_capture(agency, stack, tmp_path / "other") == kinds(events)


def in_log(table):
    return {
        subject: (row["postal_code"], row["city"], (row["effective_from"].date() - date(1970, 1, 1)).days)
        for (subject, _), row in table.holds().items()
    }


def kinds(events):
    return sorted(events.select("subject", "change_kind", "city", "effective_from").iter_rows(), key=repr)


def events_of_an_undisturbed_capture(agency, stack, folder):
    """What a capture tells that nobody kills, of a connector that repeats nothing."""
    folder.mkdir()
    other = CapturedTable(stack.endpoints, folder)
    other.send(agency.said)
    other.capture()
    return kinds(other.events())
