import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.http import protocol
from bus.http.application import Application
from bus.http.problems import Response
from bus.http.routing import Router
from bus.http.server import PortTakenError, listening, server

MIB = 1 << 20


class Echo(Application):
    """Says how long a body is; `/hold` answers when it is let go, `/fail` never."""

    def __init__(self):
        named = {"hold": self.hold, "big": self.big, "fail": self.fail, "split": self.split}
        others = {f"/{name}": {"GET": route} for name, route in named.items()}
        super().__init__(Router({"/": {"GET": self.hello, "POST": self.length}, **others}))
        self.may_go = threading.Event()
        self.is_held = threading.Event()

    async def start(self):
        """Begins nothing."""

    async def stop(self):
        """Ends nothing."""

    async def hello(self, _):
        return Response(status=200, body=b'"hello"')

    async def length(self, request):
        return Response(status=200, body=str(len(request.body)).encode())

    async def hold(self, _):
        self.is_held.set()
        while not self.may_go.is_set():
            await asyncio.sleep(0.01)
        return Response(status=200, body=b'"held"')

    async def big(self, _):
        return Response(status=200, body=b"x" * 100_000)

    async def fail(self, _):
        raise RuntimeError("0012345679")

    async def split(self, _):
        return Response(status=200, body=b"", headers=((b"x", b"a\r\nset-cookie: b"),))


class Door:
    """A server in a thread, and ways to talk to it."""

    def __init__(self, app, port, running):
        self.app, self.port, self.running = app, port, running

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def say(self, *parts, ends=False):
        """All that comes back until the server hangs up."""
        with self.connect() as line:
            for part in parts:
                line.sendall(part)
            if ends:
                line.shutdown(socket.SHUT_WR)
            return everything(line)


def everything(line):
    answer = b""
    try:
        while part := line.recv(65_536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


@contextmanager
def serving(app=None):
    app = app or Echo()
    running = server(app)
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        thread = threading.Thread(target=lambda: running.run(sockets=[taken]))
        thread.start()
        try:
            wait_until(lambda: running.started)
            yield Door(app, port, running)
        finally:
            running.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def door():
    with serving() as one:
        yield one


def wait_until(holds, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


LAST = b"Connection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def kind(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["type"].removeprefix("urn:yekbar:problem:")


def is_well(door):
    return door.say(GET + LAST).endswith(b'"hello"')


def test_an_answer_has_its_length_its_date_and_is_never_kept(door):
    head, _, body = door.say(GET + LAST).partition(b"\r\n\r\n")

    lines = head.lower().split(b"\r\n")
    assert body == b'"hello"'
    assert b"content-length: 7" in lines
    assert b"cache-control: no-store" in lines
    assert b"connection: close" in lines
    assert any(line.startswith(b"date: ") for line in lines)
    assert not any(line.startswith(b"server:") for line in lines)


def test_requests_sent_in_a_row_are_answered_in_their_order(door):
    sent = [POST + b"Content-Length: %d\r\n\r\n%b" % (size, b"x" * size) for size in range(200)]

    answer = door.say(b"".join(sent), GET + LAST)

    assert [int(one.partition(b"\r\n\r\n")[2]) for one in answer.split(b"HTTP/1.1 ")[1:-1]] == list(range(200))


@pytest.mark.parametrize("size", [0, 1, 16 << 10])
def test_a_body_in_parts_is_whole(door, size):
    parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in (b"y" * (size // 2), b"y" * (size - size // 2)) if part]

    answer = door.say(POST + b"Transfer-Encoding: chunked\r\n" + LAST, *parts, b"0\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n%d" % size)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"\x00\xff" * 200, (400, "malformed-http")),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", (400, "malformed-http")),
        (b"GET / HTTP/9.9\r\n\r\n", (400, "malformed-http")),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, "malformed-http")),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, "malformed-http")),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", (400, "malformed-http")),
        (POST + b"Content-Length: -5\r\n\r\n", (400, "malformed-http")),
        (GET + b"X: " + b"y" * 200_000, (431, "head-too-large")),
        (b"GET /" + b"y" * 200_000, (431, "head-too-large")),
        (GET + b"X: y\r\n" * 20_000, (431, "head-too-large")),
        (POST + b"Content-Length: 99999999\r\n\r\n" + b"{" * 40_000, (413, "body-too-large")),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n4001\r\n" + b"z" * 16_385, (413, "body-too-large")),
        (b"GET /nowhere HTTP/1.1\r\n" + LAST, (404, "not-found")),
        (b"DELETE / HTTP/1.1\r\n" + LAST, (405, "method-not-allowed")),
        (b"GET /fail HTTP/1.1\r\n" + LAST, (500, "fault")),
        (b"GET /split HTTP/1.1\r\n" + LAST, (500, "fault")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_the_connection_ends(door, sent, told):
    answer = door.say(sent)

    assert kind(answer) == told
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"0012345679" not in answer
    assert is_well(door)


def test_an_answer_before_the_whole_request_says_that_it_is_the_last(door):
    answer = door.say(b"POST /nowhere HTTP/1.1\r\nContent-Length: 10\r\n\r\n")

    assert kind(answer) == (404, "not-found")
    assert b"connection: close" in answer


def test_what_came_before_nonsense_is_answered(door):
    answer = door.say(GET + b"\r\n" + b"\x00\x01nonsense\r\n\r\n")

    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b'"hello"')


@pytest.mark.parametrize("sent", [GET, GET + b"\r\n" + GET, POST + b"Content-Length: 9\r\n\r\nabc"])
def test_a_request_that_dribbles_is_ended_and_keeps_nobody_waiting(door, monkeypatch, sent):
    monkeypatch.setattr(protocol, "MESSAGE_TIMEOUT_S", 0.3)

    with door.connect() as line:
        line.sendall(sent)
        for _ in range(5):
            line.sendall(b"x")
            assert is_well(door)
            time.sleep(0.02)
        answer = everything(line)

    assert kind(answer[answer.rindex(b"HTTP/1.1 ") :]) == (408, "body-too-slow")


def test_a_connection_that_says_nothing_is_closed(door, monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_TIMEOUT_S", 0.2)

    assert door.say() == b""
    assert door.say(GET + b"\r\n").endswith(b'"hello"')


def test_a_caller_who_hangs_up_in_the_middle_of_a_body_is_not_answered_as_if_it_were_whole(door):
    answer = door.say(POST + b"Content-Length: 10\r\n\r\nabc", ends=True)

    assert kind(answer) == (408, "body-too-slow")


def test_a_caller_who_asked_and_says_no_more_is_answered(door):
    answer = door.say(GET + b"\r\n", ends=True)

    assert answer.endswith(b'"hello"')


def test_a_caller_who_does_not_read_is_ended(door, monkeypatch):
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT_S", 0.3)
    before = psutil.Process().memory_info().rss

    with door.connect() as line, pytest.raises(OSError):  # noqa: PT011, PT012 - it hangs up at some time
        for _ in range(10_000):
            line.sendall(b"GET /big HTTP/1.1\r\n\r\n" * 100)

    assert is_well(door)
    assert psutil.Process().memory_info().rss - before < 50 * MIB


def test_idle_connections_keep_nobody_from_an_answer(door):
    before = psutil.Process().memory_info().rss

    with ExitStack() as idle:
        for _ in range(1_000):
            idle.enter_context(door.connect())
        assert is_well(door)
        grown = psutil.Process().memory_info().rss - before

    assert grown < 50 * MIB
    wait_until(lambda: not door.running.server_state.connections)


def test_one_connection_too_many_is_told_to_come_again(door, monkeypatch):
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 2)

    with door.connect(), door.connect():
        wait_until(lambda: len(door.running.server_state.connections) == 2)
        answer = door.say()

    assert kind(answer) == (503, "busy")


def test_a_head_is_asked_for_without_its_body(door):
    answer = door.say(b"HEAD /nowhere HTTP/1.1\r\n" + LAST)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert body == b""


def test_a_caller_who_asks_whether_to_go_on_is_told_to(door):
    with door.connect() as line:
        line.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n" + LAST)
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"abc")

        answer = everything(line)

    assert answer.endswith(b"\r\n\r\n3")


def test_a_caller_of_the_last_version_gets_one_answer(door):
    assert door.say(b"GET / HTTP/1.0\r\n\r\n").endswith(b'"hello"')


def test_what_is_under_way_is_answered_when_the_server_ends():
    app = Echo()
    with serving(app) as door, door.connect() as line:
        line.sendall(b"GET /hold HTTP/1.1\r\n\r\n")
        app.is_held.wait(10)
        door.running.should_exit = True
        time.sleep(0.2)
        app.may_go.set()

        answer = everything(line)

    assert answer.endswith(b'"held"')


def test_a_port_that_is_taken_is_said():
    with listening("127.0.0.1", 0) as taken, ExitStack() as stack:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError) as fault:
            stack.enter_context(listening("127.0.0.1", port))

    assert str(port) in str(fault.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_harm_anybody_else(door, data):
    whole = (
        POST
        + b"Content-Length: 3\r\n\r\nabc"
        + GET
        + b"\r\n"
        + POST
        + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    )
    sent = bytearray(whole)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=6)):
        sent[place] = byte
    cut = data.draw(st.integers(0, len(sent)))

    answer = door.say(bytes(sent[:cut]), bytes(sent[cut:]), ends=True)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert b"fault" not in answer
    assert is_well(door)
