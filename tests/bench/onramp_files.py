"""How fast a file becomes events: a million CSV rows through `yekbar publish`, from the command's start to its end.

`python tests/bench/onramp_files.py` starts a stack of its own; `measure` takes one that runs.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from bus.kafka import kafka_connection
from bus.national_id import iran_check_digit
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Endpoints, Stack
from deploy.provision import create_topics
from registry.catalogue import load_catalogue
from registry.contracts import RecordTypeId

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
RECORD_TYPE = "post.registered-address"
SOURCE = "post/bench-file"
ROWS = 1_000_000
GOAL_S = 60.0


def measure(folder: Path, endpoints: Endpoints, registry_url: str, *, rows: int = ROWS) -> dict[str, Any]:
    """Publishes a file of rows once and again: seconds of both, rows a second, and the command's memory."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
        "KAFKA_CLIENT_FILE": endpoints.kafka_client_file,
        "DATABASE_URL": endpoints.database_url,
        "SCHEMA_REGISTRY_URL": registry_url,
        "YEKBAR_DOMAIN_KEY": endpoints.domain_key,
        "YEKBAR_DATA": str(folder / "data"),
    }
    create_topics(kafka_connection(endpoints.kafka_bootstrap, environment), [_contract()])
    path = folder / "file-addresses.csv"
    _addresses(rows).write_csv(path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    first_s, first = _published(path, environment)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    again_s, again = _published(path, environment)
    return {
        "work": "publish a CSV file",
        "rows": rows,
        "seconds": round(first_s, 1),
        "rows_per_s": round(rows / first_s),
        "seconds_again": round(again_s, 1),
        "cpu_s": round(spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime, 1),
        "rss_mb_max": round(spent.ru_maxrss / 1024),
        "goal_s": GOAL_S * rows / ROWS,
        "correct": first["published"] == rows == again["repeated"] and again["published"] == 0,
    }


def _contract() -> Any:
    return load_catalogue(None).record_types[RecordTypeId(RECORD_TYPE)]


def _published(path: Path, environment: dict[str, str]) -> tuple[float, dict[str, int]]:
    began = time.perf_counter()
    done = subprocess.run(
        [*YEKBAR, "publish", RECORD_TYPE, str(path), "--source", SOURCE, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    seconds = time.perf_counter() - began
    (told,) = json.loads(done.stdout)["files"]
    return seconds, told


def _addresses(rows: int) -> pl.DataFrame:
    """As many persons with an address each."""
    number = pl.int_range(rows, eager=True)
    nine = [f"{100_000_000 + one:09}" for one in range(rows)]
    return pl.DataFrame(
        {
            "national_id": [first + str(iran_check_digit(first)) for first in nine],
            "change_kind": ["created"] * rows,
            "effective_from": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 12, 30), eager=True).gather(
                number % 365
            ),
            "postal_code": (number + 1_000_000_000).cast(pl.String),
            "province": pl.Series(["تهران", "فارس", "گیلان"]).gather(number % 3),
            "city": pl.Series(["ری", "شیراز", "رشت"]).gather(number % 3),
            "street": "خیابان " + (number % 1_000).cast(pl.String),
        }
    )


def main() -> None:
    """Measures with a stack of its own, and prints the facts."""
    with tempfile.TemporaryDirectory(prefix="yekbar-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        with Stack(folder / "stack") as stack:
            service = RegistryService(folder / "registry", free_port(), stack.endpoints.database_url)
            service.start()
            try:
                facts = measure(folder, stack.endpoints, service.url)
            finally:
                service.stop()
    print(json.dumps(facts, indent=2))
    sys.exit(0 if facts["correct"] else 1)


if __name__ == "__main__":
    main()
