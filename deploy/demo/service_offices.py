"""Offices whose on-ramp is a service: a relay beside the agency's database, a gateway that its application calls."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import httpx2
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pydantic_core import to_json

from bus.envelope import ChangeKind
from deploy.demo.commands import YEKBAR
from deploy.demo.live import LateError
from deploy.demo.offices import OFFICES, Office, Surroundings
from deploy.demo.systems import OnRamp, System, Table
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.process import ChildProcess, free_port
from deploy.serving import issuer_folder
from producers.outbox_journal import outbox_ddl
from registry.contracts import RecordType

TELLING = (ChangeKind.CREATED.value, ChangeKind.CORRECTED.value)
OUTBOX = "outbox"
CHANGES_A_REQUEST = 500
TIMEOUT_S = 300
POLL_S = 0.02
# The application's own transaction: what it has written is told to the outbox, in the contract's words.
_TELL = """
INSERT INTO {outbox}.changes (
  event_id, record_type, national_id, change_kind, record_key, previous_event_id, effective_from, effective_to,
  recorded_at, body
)
SELECT event_id, {record_type}, national_id, change_kind, record_key, previous_event_id,
  effective_from::timestamp AT TIME ZONE 'UTC', effective_to::timestamp AT TIME ZONE 'UTC', recorded_at,
  CASE WHEN change_kind = ANY ({telling}) THEN jsonb_build_object({body}) END
FROM ({query}) AS line
"""


class ServiceOffice(Office):
    """An office with a process that runs from its first publishing until the story ends."""

    _process: ChildProcess | None = None

    def stop(self) -> None:
        """Ends the process in order."""
        if self._process is not None:
            self._process.stop()

    def _run(self, name: str, *words: str) -> ChildProcess:
        """The command as a child process, whose log is beside those of the stack: so it is found if it is left over."""
        part = f"{name}-{self.system.agency}"
        folder = self._around.folder.parent / part
        folder.mkdir(parents=True, exist_ok=True)
        environment = self._around.commands.environment
        return ChildProcess(part, [*YEKBAR, *words], log=folder / f"{part}.log", environment=environment)


class OutboxOffice(ServiceOffice):
    """The agency's application writes to an outbox in its own transaction; `yekbar relay` brings it onto the bus."""

    _refused_before = 0

    def _publish(self, query: str) -> tuple[int, Sequence[str]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            if self._process is None:
                connection.execute(outbox_ddl(OUTBOX).encode())
                self._process = self._run("relay", "relay", self.url)
            told = connection.execute(_tell(self._contract, query)).rowcount
            self._wait_until_empty(connection)
            every = connection.execute("SELECT reason FROM outbox.refused ORDER BY refused_at, xid, number").fetchall()
        refused = [reason for (reason,) in every[self._refused_before :]]
        self._refused_before = len(every)
        return told - len(refused), refused

    def _wait_until_empty(self, connection: psycopg.Connection[Any]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while connection.execute("SELECT FROM outbox.changes LIMIT 1").fetchone() is not None:
            assert self._process is not None
            self._process.check_alive()
            if time.monotonic() > deadline:
                raise LateError(f"the outbox of '{self.system.agency}' is not empty after {TIMEOUT_S} s")
            time.sleep(POLL_S)


def _tell(contract: RecordType, query: str) -> sql.Composed:
    names = [field["name"] for field in contract.body["fields"]]
    body = [part for name in names for part in (sql.Literal(name), sql.Identifier("line", name))]
    return sql.SQL(_TELL).format(
        outbox=sql.Identifier(OUTBOX),
        record_type=sql.Literal(contract.id),
        telling=sql.Literal(list(TELLING)),
        body=sql.SQL(", ").join(body),
        query=sql.SQL(query),
    )


class GatewayOffice(ServiceOffice):
    """The agency's application posts its changes to `yekbar gateway`, and sends them again where it has no answer."""

    def _publish(self, query: str) -> tuple[int, Sequence[str]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            lines = connection.execute(query.encode()).fetchall()
        changes = [change_of(line, self._contract) for line in lines]
        with closing(self._client()) as client:
            results = [
                result
                for start in range(0, len(changes), CHANGES_A_REQUEST)
                for result in _posted(client, self._contract.id, changes[start : start + CHANGES_A_REQUEST])
            ]
        refused = [result["reason"] for result in results if "reason" in result]
        return len(results) - len(refused), refused

    def _client(self) -> httpx2.Client:
        """A client of the agency's gateway, which answers."""
        if self._process is None:
            self._port = free_port()
            self._process = self._run("gateway", "gateway", "--port", str(self._port))
        around = self._around
        issuer = DevelopmentIssuer(folder=issuer_folder(around.commands.environment), mode=around.wiring.settings.mode)
        token = issuer.token({"sub": self.system.agency, "agency": self.system.agency})
        client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self._port}", headers={"authorization": f"Bearer {token}"}, timeout=30
        )
        self._process.wait_until(lambda: _answers(client), timeout_s=TIMEOUT_S)
        return client


def change_of(line: Mapping[str, Any], contract: RecordType) -> dict[str, Any]:
    """A line of the agency's table as the gateway takes it."""
    is_telling = line["change_kind"] in TELLING
    said = {
        "event_id": line["event_id"],
        "national_id": line["national_id"],
        "change_kind": line["change_kind"],
        "record_key": line["record_key"],
        "previous_event_id": line["previous_event_id"],
        "effective_from": line["effective_from"] and f"{line['effective_from']}T00:00:00Z",
        "effective_to": line["effective_to"] and f"{line['effective_to']}T00:00:00Z",
        "recorded_at": line["recorded_at"],
        "body": {field["name"]: line[field["name"]] for field in contract.body["fields"]} if is_telling else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _posted(client: httpx2.Client, record_type: str, changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What became of each change. Raises LateError; a repeat is harmless, so whatever fails is sent again."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer = client.post(
            f"/v1/records/{record_type}", content=to_json(changes), headers={"content-type": "application/json"}
        )
        if answer.status_code == httpx2.codes.OK:
            results: list[dict[str, Any]] = answer.json()["results"]
            return results
        if "retry-after" not in answer.headers or time.monotonic() > deadline:
            raise LateError(f"the gateway answered {answer.status_code}: {answer.json().get('title')}")
        time.sleep(int(answer.headers["retry-after"]))


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def office(system: System, table: Table, surroundings: Surroundings) -> Office:
    """The office of a table, by its agency's on-ramp."""
    every: Mapping[OnRamp, type[Office]] = {**OFFICES, OnRamp.OUTBOX: OutboxOffice, OnRamp.GATEWAY: GatewayOffice}
    return every[system.on_ramp](system, table, surroundings)
