import os
import sqlite3
import subprocess
import sys
from uuid import UUID

import pytest

from producers.errors import JournalError, SourceBusyError, WrongJournalError
from producers.journal import Kept, MemoryJournal, Promise
from producers.journal_file import SqliteJournal

SOURCE, TOPIC = "some-agency/outbox-1", "records.some-agency.deed"


class FileKept:
    """A journal whose file is opened anew by each `again`."""

    def __init__(self, folder):
        self.path = folder / "deep" / "a.journal"
        self.journal = SqliteJournal(self.path)

    def again(self):
        self.journal.close()
        self.journal = SqliteJournal(self.path)
        return self.journal


class MemoryKept:
    def __init__(self, _):
        self.journal = MemoryJournal()

    def again(self):
        self.journal.close()
        return self.journal


@pytest.fixture(params=[FileKept, MemoryKept])
def kept(request, tmp_path):
    made = request.param(tmp_path)
    made.journal.open(source=SOURCE, topic=TOPIC)
    yield made
    made.journal.close()


def promise(first, count, remembered=()):
    return Promise(
        first_sequence=first,
        keys=[bytes([number]) * 16 for number in range(count)],
        values=[b"v%d" % (first + number) * number for number in range(count)],
        remembered=remembered,
    )


def opened_again(kept):
    journal = kept.again()
    journal.open(source=SOURCE, topic=TOPIC)
    return journal


def told(promises):
    return [(one.first_sequence, list(one.keys), list(one.values)) for one in promises]


def test_a_new_journal_begins_at_one_and_promises_nothing(kept):
    assert kept.journal.next_sequence() == 1
    assert kept.journal.promises() == []
    assert kept.journal.positions() == {}


def test_promises_and_the_next_sequence_outlast_the_process(kept):
    kept.journal.promise(promise(1, 3))
    kept.journal.promise(promise(4, 2))

    journal = opened_again(kept)

    assert told(journal.promises()) == told([promise(1, 3), promise(4, 2)])
    assert journal.next_sequence() == 6


def test_what_was_kept_leaves_the_journal_and_moves_the_positions(kept):
    kept.journal.promise(promise(1, 3))
    kept.journal.promise(promise(4, 2), Kept(first_sequences=[1], positions={0: 7}))
    kept.journal.promise(promise(6, 1))
    kept.journal.settle(Kept(first_sequences=[4], positions={0: 8, 3: 1}))

    journal = opened_again(kept)

    assert told(journal.promises()) == told([promise(6, 1)])
    assert journal.positions() == {0: 8, 3: 1}
    assert journal.next_sequence() == 7


def test_ids_are_remembered_with_their_promise(kept):
    ids = [bytes([number]) * 16 for number in range(5)]
    kept.journal.promise(promise(1, 3, remembered=ids[:3]))
    kept.journal.settle(Kept(first_sequences=[1]))

    journal = opened_again(kept)

    assert set(journal.known(ids)) == set(ids[:3])
    assert set(journal.known([])) == set()


def test_what_the_log_knows_better_is_learnt(kept):
    from_content, other = UUID(int=8 << 76).bytes, UUID(int=7 << 76).bytes
    kept.journal.learn(41, [from_content, other])
    kept.journal.learn(7, [])

    journal = opened_again(kept)

    assert journal.next_sequence() == 41
    assert set(journal.known([from_content, other])) == {from_content}


def test_a_second_opener_is_told_that_the_source_is_busy(kept):
    second = SqliteJournal(kept.path) if isinstance(kept, FileKept) else kept.journal

    with pytest.raises(SourceBusyError, match="some-agency/outbox-1"):
        second.open(source=SOURCE, topic=TOPIC)


@pytest.mark.parametrize(("source", "topic"), [("other", TOPIC), (SOURCE, "records.other")])
def test_a_journal_serves_one_source_on_one_topic(kept, source, topic):
    journal = kept.again()

    with pytest.raises(WrongJournalError):
        journal.open(source=source, topic=topic)


def test_a_journal_serves_one_life_of_its_topic(kept):
    kept.journal.bind("first")
    kept.journal.bind("first")

    with pytest.raises(WrongJournalError, match="made anew"):
        opened_again(kept).bind("second")


def test_only_its_owner_may_read_a_journal(tmp_path):
    journal = SqliteJournal(tmp_path / "a.journal")
    journal.open(source=SOURCE, topic=TOPIC)
    journal.promise(promise(1, 1))

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    journal.close()
    assert modes
    assert set(modes.values()) == {0o600}


def test_the_lock_of_a_killed_process_is_gone(tmp_path):
    holding = (
        "import os, sys, pathlib; from producers.journal_file import SqliteJournal;"
        f"j = SqliteJournal(pathlib.Path(sys.argv[1])); j.open(source={SOURCE!r}, topic={TOPIC!r});"
        "print('open', flush=True); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", holding, str(tmp_path / "a.journal")], check=False, timeout=60)
    journal = SqliteJournal(tmp_path / "a.journal")

    journal.open(source=SOURCE, topic=TOPIC)

    journal.close()


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path):
    journal = SqliteJournal(tmp_path / "a.journal")
    journal.open(source=SOURCE, topic=TOPIC)
    journal.promise(promise(1, 2))
    journal._opened.execute("PRAGMA max_page_count = 1")
    large = Promise(first_sequence=3, keys=[bytes(16)], values=[os.urandom(500_000)])

    with pytest.raises(JournalError, match="full"):
        journal.promise(large)

    assert journal.next_sequence() == 3
    assert told(journal.promises()) == told([promise(1, 2)])
    journal.close()


def test_a_file_that_is_no_journal_is_told(tmp_path):
    (tmp_path / "a.journal").write_bytes(b"no database at all" * 100)

    with pytest.raises(JournalError):
        SqliteJournal(tmp_path / "a.journal").open(source=SOURCE, topic=TOPIC)


def test_a_journal_in_a_place_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "file" / "a.journal").open(source=SOURCE, topic=TOPIC)


def test_every_error_of_the_library_is_ours(tmp_path):
    journal = SqliteJournal(tmp_path / "a.journal")
    journal.open(source=SOURCE, topic=TOPIC)
    journal._opened.execute("DROP TABLE promises")

    with pytest.raises(JournalError) as told_error:
        journal.promises()

    assert isinstance(told_error.value.__cause__, sqlite3.Error)
    journal.close()
