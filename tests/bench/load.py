"""The load: a seeded nation's changes as columns, mixed as registers mix them."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl

from bus.national_id import iran_check_digit
from registry.contracts import RecordType

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("created", "corrected", "annulled", "ceased", "created")
_, CORRECTED, ANNULLED, CEASED, LATE = range(len(KINDS))
PERSONS_PER_EVENT = 0.25  # and those first facts are plain: so that one event in ten is not, the rest is mixed higher
SHARES = (0.868, 0.052, 0.026, 0.027, 0.027)

BENCH_TYPE = RecordType(
    id="bench-agency.employment",
    agency="bench-agency",  # type: ignore[arg-type]
    title={},
    body={
        "type": "record",
        "name": "Employment",
        "fields": [
            {"name": "employer_name", "type": "string"},
            {"name": "occupation_code", "type": "string"},
            {"name": "contract_kind", "type": {"type": "enum", "name": "Contract", "symbols": ["permanent", "fixed"]}},
            {"name": "is_full_time", "type": "boolean"},
            {"name": "wage_rials", "type": "long"},
            {"name": "hours", "type": "double"},
            {"name": "ended_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
            {"name": "end_reason", "type": ["null", "string"], "default": None},
            {"name": "branch", "type": "int"},
            {"name": "signed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "remark", "type": ["null", "string"], "default": None},
        ],
    },
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)


def changes(count: int, *, seed: int = 1405) -> pl.DataFrame:
    """As many changes as asked, as `Publisher.publish_columns` takes them; the first of each person is a new fact."""
    chance = random.Random(seed)
    persons = max(1, int(count * PERSONS_PER_EVENT))
    person = [*range(persons), *(chance.randrange(persons) for _ in range(count - persons))]
    mixed = chance.choices(range(len(KINDS)), SHARES, k=count - persons)
    kind = [0] * persons + mixed
    pool = chance.randbytes(16 * count)
    ids = [pool[16 * row : 16 * row + 16] for row in range(count)]
    undoes = [one in (CORRECTED, ANNULLED) for one in kind]
    day = [_day(one, row, count, chance) for row, one in enumerate(kind)]
    frame = pl.DataFrame(
        {
            "national_id": [national_id(one) for one in person],
            "event_id": pl.Series(ids, dtype=pl.Binary),
            "change_kind": [KINDS[one] for one in kind],
            "previous_event_id": pl.Series(
                [ids[one] if undo else None for one, undo in zip(person, undoes, strict=True)], dtype=pl.Binary
            ),
            "day": day,
            "has_body": [one not in (ANNULLED, CEASED) for one in kind],
        }
    )
    body = _body(chance, count)
    blank = [pl.when("has_body").then(pl.col(name)).alias(name) for name in body.columns]
    return frame.select(
        pl.exclude("day", "has_body"),
        (pl.lit(START) + pl.duration(days="day")).cast(pl.Datetime("us", "UTC")).alias("effective_from"),
        pl.lit(START).cast(pl.Datetime("us", "UTC")).alias("recorded_at"),
        "has_body",
        *body,
    ).with_columns(blank)


def national_id(number: int) -> str:
    """A valid id of Iran's scheme, another for each number."""
    nine = str(100_000_000 + number)
    return nine + str(iran_check_digit(nine))


def _day(kind: int, row: int, count: int, chance: random.Random) -> int:
    """When the change holds from: late facts lie before all others, corrections where what they correct does."""
    if kind == LATE:
        return chance.randrange(30)
    return 100 if kind in (CORRECTED, ANNULLED) else 100 + 200 * row // count


def _body(chance: random.Random, count: int) -> pl.DataFrame:
    employers = [f"کارگاه {number}" for number in range(500)]
    return pl.DataFrame(
        {
            "employer_name": chance.choices(employers, k=count),
            "occupation_code": [str(number) for number in chance.choices(range(1000, 9999), k=count)],
            "contract_kind": chance.choices(["permanent", "fixed"], k=count),
            "is_full_time": chance.choices([True, False], k=count),
            "wage_rials": chance.choices(range(10**7, 10**9), k=count),
            "hours": [chance.random() * 44 for _ in range(count)],
            "branch": pl.Series(chance.choices(range(900), k=count), dtype=pl.Int32),
            "signed_at": [START] * count,
        },
        schema_overrides={"signed_at": pl.Datetime("us", "UTC")},
    )
