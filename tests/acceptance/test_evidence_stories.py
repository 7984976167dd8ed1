"""Evidence as its callers, citizens and auditors meet it: over HTTP, on a stack of its own with two instances."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest

from bus.envelope import ChangeKind
from bus.heartbeats import HEARTBEAT_SCHEMA, Heartbeat, encode_heartbeat
from bus.kafka import producer
from bus.national_id import iran_check_digit
from bus.topics import SOURCE_HEARTBEATS, event_subject_name
from consumers.heartbeats import completeness
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.process import free_port
from deploy.local.whole import WholeStack
from deploy.serving import issuer_folder
from deploy.wiring import wire
from producers.change import Change
from producers.journal import MemoryJournal
from producers.publisher import Publisher

pytestmark = pytest.mark.local_stack

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
TIMEOUT_S = 60
BENEFIT = {"procedure": "unemployment-benefit", "case_reference": "1405-17"}


def person(number):
    nine = f"{number:09}"
    return f"{nine}{iran_check_digit(nine)}"


ZAHRA, MOTHER, CHILD, NOBODY = (person(number) for number in (712_345_678, 723_456_789, 734_567_890, 745_678_901))
RECORDS = {
    "civil-registry.identity": {
        "given_name": "زهرا",
        "family_name": "کریمی",
        "birth_date": date(1990, 2, 3),
        "sex": "female",
        "birth_place_code": "07",
    },
    "civil-registry.life-status": {"status": "alive"},
    "labour-relations.employment": {
        "employment_number": "7",
        "employer_name": "کارگاه نان",
        "occupation_code": "7512",
        "contract_kind": "permanent",
        "status": "ended",
        "ended_on": date(2026, 1, 1),
        "end_reason": "redundancy",
        "monthly_wage_rials": 120_000_000,
    },
    "social-security.insurance-coverage": {"coverage_kind": "mandatory", "premium_months": 30, "branch_code": "07"},
    "welfare.household-decile": {"decile": 2, "household_size": 4, "assessed_on": date(2026, 1, 1)},
    "post.registered-address": {"province": "فارس", "city": "شیراز", "postal_code": "7134567890"},
}
MANDATE = "civil-registry.mandate"


class Nation:
    """A running stack with a materializer and instances of the evidence API."""

    def __init__(self, whole, folder, parts):
        self.environment = {**os.environ, **whole.environment, "COLUMNS": "200"}
        self.wiring = wire(whole.environment)
        self.folder = folder
        self.parts = parts
        self.issuer = DevelopmentIssuer(folder=issuer_folder(whole.environment), mode=self.wiring.settings.mode)
        self.database = parts.enter_context(psycopg.connect(self.wiring.settings.database_url, autocommit=True))
        self.journals = {}
        self.published = {}
        self.processes = []
        parts.callback(self.stop)

    def start(self, *words, **settings):
        log = self.parts.enter_context((self.folder / f"{words[0]}-{free_port()}.log").open("wb"))
        process = subprocess.Popen([*YEKBAR, *words], env={**self.environment, **settings}, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)

    def instance(self, **settings):
        port = free_port()
        process = self.start("serve", "--port", str(port), **settings)
        client = self.parts.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))
        return process, client

    def run(self, *words):
        return subprocess.run(
            [*YEKBAR, *words],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )

    def publish(self, record_type, *said):
        """Each of `said` is a national id, a body, and what else the change says."""
        contract = self.wiring.record_type(record_type)
        with Publisher(
            contract,
            source=f"{record_type}/stories",
            kafka=self.wiring.kafka,
            registry=self.wiring.registry,
            pseudonymizer=self.wiring.pseudonymizer,
            journal=self.journals.setdefault(record_type, MemoryJournal()),
        ) as publisher:
            for national_id, body, more in said:
                key = body.get(contract.record_key_field, "") if contract.record_key_field else ""
                change = {"change_kind": ChangeKind.CREATED, "effective_from": SINCE, "recorded_at": datetime.now(UTC)}
                publisher.publish(Change(national_id=national_id, body=body, record_key=key, **{**change, **more}))
        self.published[record_type] = self.published.get(record_type, 0) + len(said)

    def publish_and_wait(self, record_type, *said):
        self.publish(record_type, *said)
        self.wait_for_views()

    def wait_for_views(self):
        for record_type, count in self.published.items():
            wait_until(lambda record_type=record_type, count=count: self.facts(record_type) == count)
        self.are_caught_up()

    def facts(self, record_type):
        return self.database.execute(f'SELECT count(*) FROM "{record_type}".facts').fetchone()[0]

    def are_caught_up(self):
        since = datetime.now(UTC)
        query = "SELECT bool_and(caught_up_at > %s) FROM yekbar.positions"
        wait_until(lambda: self.database.execute(query, (since,)).fetchone()[0])

    def headers(self, **claims):
        return {"authorization": f"Bearer {self.issuer.token(claims)}"}

    def ask(self, national_id=ZAHRA, *, agency="labour-relations", client=None, headers=None, **more):
        who = {} if national_id is None else {"national_id": national_id}
        return (client or self.one).post(
            "/v1/evidence",
            json={**BENEFIT, **who, **more},
            headers={**self.headers(agency=agency), **(headers or {})},
        )

    def own_list(self, national_id, named=None, path="/v1/me/accesses"):
        headers = self.headers(national_id=national_id, acr="high")
        if named is None:
            return self.one.get(path, headers=headers)
        return self.one.post(path, json={"national_id": named}, headers=headers)


def wait_until(holds, timeout_s=TIMEOUT_S):
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def is_up(client):
    try:
        return client.get("/v1/procedures").status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module")
def nation():
    folder = Path(tempfile.mkdtemp(prefix="yekbar-test-"))
    folder.chmod(0o711)  # PostgreSQL's own user reaches it, where the tests run as root
    given = {name: value for name, value in os.environ.items() if name.startswith("YEKBAR_MAVEN")}
    with ExitStack() as parts:
        parts.callback(shutil.rmtree, folder, ignore_errors=True)
        whole = parts.enter_context(WholeStack(folder / "data", given))
        built = Nation(whole, folder, parts)
        built.start("materialize")
        (_, built.one), (_, built.other) = built.instance(), built.instance()
        for record_type, body in RECORDS.items():
            built.publish(record_type, *[(one, body, {}) for one in (ZAHRA, CHILD)])
        built.wait_for_views()
        for client in (built.one, built.other):
            wait_until(lambda client=client: is_up(client))
        wait_until(lambda: built.ask().status_code == 200 and built.ask().json()["is_complete"])
        yield built


def test_one_call_brings_every_piece_of_evidence_with_its_source_and_how_complete_it_is(nation):
    answer = nation.ask(headers={"accept-language": "fa"})

    told = answer.json()
    assert (answer.status_code, told["is_complete"]) == (200, True)
    pieces = [piece for one in told["requirements"] for piece in one["evidence"]]
    assert {one["status"] for one in told["requirements"]} == {"met"}
    assert len({piece["provider"] for piece in pieces}) == 5
    assert all(piece["events"] and piece["agreement"] and piece["freshness"]["as_of"] for piece in pieces)
    assert answer.headers["content-language"] == "fa"
    row = nation.database.execute(
        "SELECT decision FROM yekbar.accesses WHERE access_id = %s", (told["access_id"],)
    ).fetchone()
    assert row == ("granted",)


def test_a_back_end_finds_what_to_ask_as_linked_data(nation):
    answer = nation.one.get("/v1/procedures/unemployment-benefit", headers={"accept": "application/ld+json"})

    nodes = {node["id"]: node for node in answer.json()["@graph"]}
    service = nodes["urn:yekbar:procedure:unemployment-benefit"]
    assert len(service["holdsRequirement"]) == len(nation.ask().json()["requirements"])


def test_many_persons_are_one_call_where_the_agreement_allows_it_and_each_has_an_access_of_its_own(nation):
    asked = {"procedure": "subsidy-eligibility", "national_ids": [ZAHRA, "0012345678", CHILD]}

    together = nation.ask(None, agency="welfare", **asked)
    refused = nation.ask(None, national_ids=[ZAHRA, CHILD])

    first, wrong, last = together.json()["answers"]
    assert together.status_code == 200
    assert first["requirements"][0]["status"] == last["requirements"][0]["status"] == "met"
    assert (wrong["type"], wrong["status"]) == ("urn:yekbar:problem:invalid-national-id", 422)
    assert refused.status_code == 403
    assert {one["reason"] for one in refused.json()["requirements"]} == {"too-many-persons"}
    rows = nation.database.execute("SELECT access_id, subject FROM yekbar.accesses").fetchall()
    recorded = {str(access_id): subject for access_id, subject in rows}
    subject = nation.wiring.pseudonymizer.subject
    assert [recorded[one["access_id"]] for one in (first, wrong, last)] == [subject(ZAHRA), None, subject(CHILD)]
    assert set(refused.json()["access_ids"]) <= set(recorded)


def test_a_denial_is_the_same_to_the_byte_whether_or_not_the_person_exists(nation):
    known, unknown = nation.ask(agency="post"), nation.ask(NOBODY, agency="post")

    def told(answer):
        return answer.content.replace(answer.json()["access_id"].encode(), b"-")

    assert known.status_code == unknown.status_code == 403
    assert told(known) == told(unknown)
    names = [name for name in known.headers if name != "date"]
    assert [(name, known.headers[name]) for name in names] == [(name, unknown.headers[name]) for name in names]


def test_one_person_acts_for_another_by_a_mandate_and_not_without_it(nation):
    before = nation.ask(MOTHER, represented_party=CHILD)
    number = {"mandate_number": "M-17", "procedure": None}
    nation.publish_and_wait(
        MANDATE, (CHILD, {**number, "role": "represented"}, {}), (MOTHER, {**number, "role": "representative"}, {})
    )

    granted = nation.ask(MOTHER, represented_party=CHILD)
    other_way = nation.ask(CHILD, represented_party=MOTHER)
    list_of_child = nation.own_list(MOTHER, CHILD)
    stranger = nation.own_list(ZAHRA, CHILD)
    nation.publish_and_wait(
        MANDATE,
        (
            CHILD,
            {**number, "role": "represented"},
            {"change_kind": ChangeKind.CEASED, "effective_from": SINCE + timedelta(days=1)},
        ),
    )
    after = nation.ask(MOTHER, represented_party=CHILD)

    assert [one.status_code for one in (before, granted, other_way, after)] == [403, 200, 403, 403]
    assert before.json()["detail"] == "no-mandate"
    assert granted.json()["is_complete"]
    assert CHILD not in granted.text
    assert (list_of_child.status_code, stranger.status_code) == (200, 403)
    seen = nation.own_list(CHILD).json()["accesses"]
    reasons = [(one["decision"], one["reason"], one["was_represented"]) for one in seen]
    assert ("granted", "by-mandate", True) in reasons
    assert ("denied", "not-own-list", False) in reasons
    assert ("denied", "no-mandate", True) in reasons
    assert ("granted", None, True) in reasons


@contextmanager
def beating(nation, record_type, sequence, until):
    """A heartbeat of a source, which is taken back at the end."""
    schema_id = nation.wiring.registry.register(event_subject_name(SOURCE_HEARTBEATS), HEARTBEAT_SCHEMA)
    source = f"{record_type}/stories"
    sender = producer(nation.wiring.kafka, linger_ms=0)
    said = Heartbeat(source=source, record_type=record_type, last_sequence=sequence, complete_until=until)
    sender.produce(SOURCE_HEARTBEATS, key=source.encode(), value=encode_heartbeat(said, schema_id))
    sender.flush(10)
    yield next(iter(wait_until(lambda: [one for one in completeness(nation.database) if one.complete_until == until])))
    sender.produce(SOURCE_HEARTBEATS, key=source.encode(), value=None)
    sender.flush(10)
    wait_until(lambda: not any(one.has_heart for one in completeness(nation.database)))


def residence(nation):
    return next(one for one in nation.ask().json()["requirements"] if one["requirement"] == "residence")


def test_an_answer_says_until_when_it_has_all_that_the_source_had_sent(nation):
    until = datetime.now(UTC).replace(microsecond=0)
    with beating(nation, "post.registered-address", 2, until):
        told = wait_until(lambda: residence(nation)["evidence"][0]["freshness"]["complete_until"])
        state = residence(nation)["evidence"][0]["freshness"]["source_state"]

    assert datetime.fromisoformat(told) == until
    assert state == "live"


def test_an_event_that_never_came_is_named_and_a_silent_source_is_stale(nation):
    with beating(nation, "post.registered-address", 3, datetime.now(UTC)):
        lost = next(one for one in completeness(nation.database) if one.view == "post.registered-address")
        wait_until(lambda: residence(nation)["evidence"][0]["freshness"]["missing_events"] == 1)
        state = residence(nation)["evidence"][0]["freshness"]["source_state"]
        nation.database.execute("UPDATE yekbar.heartbeats SET heard_at = now() - interval '10 days'")
        nation.database.execute("UPDATE yekbar.sources SET known_at = now() - interval '10 days'")
        silent = wait_until(lambda: (one := residence(nation))["status"] == "stale" and one)

    assert (lost.missing, lost.sent, lost.received) == (1, 3, 2)
    assert state == "incomplete"
    assert silent["reason"] == "source-silent"


def test_a_suspended_agreement_counts_on_every_instance_within_five_seconds_and_can_be_replayed(nation):
    name = ["unemployment-benefit.residence", "--as", "post"]

    done = nation.run("agreement", "suspend", *name, "--reason", "under review")
    for client in (nation.one, nation.other):
        wait_until(lambda client=client: "suspended" in nation.ask(client=client).text, 5)
    replayed = wait_until(lambda: (one := nation.run("agreement", "replay", "--json")).returncode == 0 and one)
    nation.run("agreement", "resume", *name)
    for client in (nation.one, nation.other):
        wait_until(lambda client=client: nation.ask(client=client).json()["is_complete"], 5)

    assert done.returncode == 0, done.stderr
    assert json.loads(replayed.stdout)[-1]["reason"] == "under review"


def test_who_dies_between_the_record_and_the_answer_leaves_the_access_as_possibly_delivered(nation):
    process, client = nation.instance(YEKBAR_FAILPOINTS="evidence.recorded=1")
    wait_until(lambda: is_up(client))
    whole = nation.ask().json()["access_id"]

    with pytest.raises(httpx2.HTTPError):
        nation.ask(client=client, case_reference="lost")

    wait_until(lambda: process.poll() is not None or not is_up(client))
    shown = {one["access_id"]: one for one in nation.own_list(ZAHRA).json()["accesses"]}
    lost = next(one for one in shown.values() if one["case_reference"] == "lost")
    wait_until(lambda: delivery(nation, whole) == "delivered")
    assert lost["decision"] == "granted"
    assert delivery(nation, lost["access_id"]) == "possibly-delivered"


def delivery(nation, access_id):
    shown = nation.own_list(ZAHRA).json()["accesses"]
    return next(one["delivery"] for one in shown if one["access_id"] == access_id)


def test_citizens_see_every_access_and_who_wants_another_list_is_refused_and_seen(nation):
    asked = [nation.ask().json()["access_id"], nation.ask(agency="post").json()["access_id"]]
    refused = nation.own_list(MOTHER, ZAHRA)

    shown = nation.own_list(ZAHRA, path="/v1/me/accesses?limit=3").json()["accesses"]

    assert refused.status_code == 403
    assert [one["access_id"] for one in shown] == [refused.json()["access_id"], *asked[::-1]]
    assert [one["decision"] for one in shown] == ["denied", "denied", "granted"]
    assert shown[2]["legal_basis"]


def test_a_harvest_over_two_instances_is_stopped_and_told_and_others_are_served(nation):
    asked = {"agency": "property-registry", "procedure": "housing-loan", "acting_user": "clerk-1"}
    stopped = None
    for count in range(1_000):
        answer = nation.ask(person(734_567_000 + count), client=(nation.one, nation.other)[count % 2], **asked)
        if answer.status_code == 403:
            stopped = count
            break

    unharmed = nation.ask()
    alarm = wait_until(lambda: alarms(nation))
    for client in (nation.one, nation.other):
        wait_until(lambda client=client: nation.ask(client=client, **asked).status_code == 403, 5)

    assert stopped is not None
    assert unharmed.json()["is_complete"]
    assert {one["by"] for one in alarm} == {"yekbar"}


def alarms(nation):
    done = nation.run("agreement", "replay", "--json")
    return [one for one in json.loads(done.stdout) if one["reason"] == "harvest-suspected"]


def test_the_log_of_accesses_says_what_the_table_says_and_is_a_view_like_any_other(nation):
    checked = nation.run("audit", "accesses", "--check", "--json")
    told = json.loads(checked.stdout)
    wait_until(lambda: nation.facts("audit.access") == told["in_topic"])
    verified = nation.run("audit", "diff", "audit.access")

    assert (checked.returncode, told["differences"], verified.returncode) == (0, [], 0), (
        checked.stderr + verified.stdout
    )
    assert told["in_table"] == told["in_topic"] > 50
