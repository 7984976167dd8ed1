import json
import socket
from contextlib import ExitStack, suppress

import pytest
from evidence_service import GOOD, PERSON, STATUS, accesses, by_requirement, put

from consumers.evidence.models import Problem


def bad(caller, *, body=None, content=None, headers=None, method="POST", path="/v1/evidence"):
    sent = {"authorization": caller.headers()["authorization"], "content-type": "application/json", **(headers or {})}
    raw = content if content is not None else json.dumps(body).encode()
    return caller.http.request(method, path, content=raw, headers=sent)


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        ({"content": b"{"}, 400, "malformed-json"),
        ({"content": b"[" * 10_000}, 400, "malformed-json"),
        ({"content": b"\xff\xfe"}, 400, "malformed-json"),
        ({"content": b"[]"}, 422, "invalid-request"),
        ({"content": b" " * 20_000}, 413, "body-too-large"),
        ({"body": {**GOOD, "0012345679": 1}}, 422, "invalid-request"),
        ({"body": {"procedure": "benefit"}}, 422, "invalid-request"),
        ({"body": {**GOOD, "national_id": 12345679}}, 422, "invalid-request"),
        ({"body": {**GOOD, "case_reference": "a\nb"}}, 422, "invalid-request"),
        ({"body": {**GOOD, "effective_at": "2026-01-01T00:00:00"}}, 422, "invalid-request"),
        ({"body": {**GOOD, "national_ids": [PERSON]}}, 422, "invalid-request"),
        ({"body": {"procedure": "benefit", "national_ids": []}}, 422, "invalid-request"),
        ({"body": {"procedure": "benefit", "national_ids": [PERSON] * 101}}, 422, "invalid-request"),
        ({"body": {"procedure": "benefit", "national_ids": [[PERSON]]}}, 422, "invalid-request"),
        (
            {"body": {"procedure": "benefit", "national_ids": [PERSON], "represented_party": PERSON}},
            422,
            "invalid-request",
        ),
        ({"body": GOOD, "headers": {"content-type": "text/plain"}}, 415, "unsupported-media-type"),
        ({"body": GOOD, "path": "/v1/evidence?national_id=0012345679"}, 400, "query-not-allowed"),
        ({"body": GOOD, "path": "/v1/evidence/0012345679"}, 404, "not-found"),
        ({"body": GOOD, "method": "PUT"}, 405, "method-not-allowed"),
        ({"body": GOOD, "headers": {"authorization": ""}}, 401, "unauthenticated"),
        ({"body": GOOD, "headers": {"authorization": "Basic eDp5"}}, 401, "unauthenticated"),
        ({"body": GOOD, "headers": {"authorization": "Bearer x.y.z"}}, 401, "unauthenticated"),
    ],
)
def test_bad_input_is_a_typed_problem_that_repeats_nothing_and_records_nothing(caller, database, sent, status, kind):
    answer = bad(caller, **sent)

    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:yekbar:problem:{kind}"
    assert PERSON not in answer.text
    Problem.model_validate_json(answer.content)
    assert accesses(database) == []


def raw(caller, sent, *, answers=None):
    """What comes back for bytes that no client would send; the sender hangs up unless it waits for answers."""
    address = (caller.http.base_url.host, caller.http.base_url.port)
    with socket.create_connection(address, timeout=20) as opened:
        opened.sendall(sent)
        if answers is None:
            opened.shutdown(socket.SHUT_WR)
        answer = b""
        while answer.count(b"HTTP/1.1 ") != answers and (part := opened.recv(65_536)):
            answer += part
        return answer


HEAD = b"POST /v1/evidence HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x00\xff" * 200, id="no http"),
        pytest.param(HEAD + b"Content-Length: 400\r\n\r\n{", id="truncated"),
        pytest.param(HEAD + b"Content-Length: 99999999\r\n\r\n" + b"{" * 40_000, id="oversized"),
        pytest.param(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="smuggled"),
        pytest.param(HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n", id="endless header"),
    ],
)
def test_bytes_that_are_no_request_bring_no_data_and_harm_nobody(caller, database, sent):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})

    with suppress(OSError):
        assert b"cleared" not in raw(caller, sent)

    assert by_requirement(caller.ask())["clearance"]["status"] == "met"


def test_pipelined_requests_are_answered_in_their_order(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    token = caller.headers()["authorization"].encode()
    bodies = [json.dumps({**GOOD, "case_reference": str(number)}).encode() for number in range(3)]
    sent = [HEAD + b"Authorization: %b\r\nContent-Length: %d\r\n\r\n%b" % (token, len(b), b) for b in bodies]

    answer = raw(caller, b"".join(sent), answers=3)

    assert answer.count(b"HTTP/1.1 200") == 3
    assert [one["case_reference"] for one in accesses(database)] == ["0", "1", "2"]


def test_many_idle_connections_keep_nobody_from_an_answer(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    address = (caller.http.base_url.host, caller.http.base_url.port)

    with ExitStack() as idle:
        for _ in range(1_000):
            idle.enter_context(socket.create_connection(address, timeout=20))
        found = by_requirement(caller.ask())

    assert found["clearance"]["status"] == "met"
