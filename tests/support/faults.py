"""What befalls workers: each fault takes an ordeal and its hostile stack, and returns when all is caught up again.

The seeded chance of the ordeal decides where a fault hits; `ordeal.judge` says what it did.
"""

import signal
import time

from raw_bus import DEADLINE_S

from bus.failpoints import EXIT_CODE

STEPS = (
    "materializer.consumed",
    "materializer.checked",
    "materializer.encoded",
    "materializer.advanced",
    "materializer.applied",
    "materializer.committing",
    "materializer.committed",
    "materializer.announcing",
    "quarantine.announced",
    "materializer.hinting",
)
OCCURRENCES = (1, 2, 10)
IN_TRANSACTION = ("materializer.advanced", "materializer.applied", "materializer.committing")
EVENTS = 400


def death_at_a_step(ordeal, step, occurrence):
    """A worker dies at a step; the judgement comes before anybody mends it."""
    ordeal.load(EVENTS)
    worker = ordeal.start(f"{step}={occurrence}")
    assert worker.wait(DEADLINE_S) == EXIT_CODE, (step, occurrence, worker.log.read_text())
    ordeal.kills += 1


def kill(ordeal, _):
    """SIGKILL at any moment of a worker that works."""
    ordeal.load(EVENTS)
    worker = ordeal.start()
    ordeal.wait_until_moved(worker)
    time.sleep(ordeal.chance.random() * 0.2)
    ordeal.kill(worker)


def zombie(ordeal, _):
    """A worker freezes, another takes over and goes on, the first wakes up with a batch in its hands."""
    ordeal.load(EVENTS)
    step = ordeal.chance.choice(("materializer.encoded", *IN_TRANSACTION))
    frozen = ordeal.start(f"{step}={ordeal.chance.randrange(1, 5)}:stop")
    ordeal.wait_until(lambda: is_stopped(frozen), "the worker did not freeze", worker=frozen)
    heir = ordeal.start()
    ordeal.wait_until_caught_up(heir)
    caught_up = ordeal.positions()
    frozen.send_signal(signal.SIGCONT)
    ordeal.wait_until(lambda: "materializer_joins_anew" in frozen.log.read_text(), "the zombie went on", worker=frozen)
    assert ordeal.positions() == caught_up
    ordeal.kill(heir)
    ordeal.kill(frozen)


def two_with_one_identity(ordeal, _):
    """Two workers hold the same partitions and fence each other off, while events come in."""
    ordeal.load(EVENTS)
    pair = [ordeal.start(), ordeal.start()]
    for _ in range(3):
        ordeal.load(EVENTS // 4)
        time.sleep(ordeal.chance.random() * 0.3)
    ordeal.wait_until_caught_up()
    for worker in pair:
        ordeal.kill(worker)


def rebalance_storm(ordeal, _):
    """Workers of one group come and go in order and out of order."""
    group = f"storm-{ordeal.chance.randrange(10**9)}"
    workers = [ordeal.start(group=group)]
    for _ in range(4):
        ordeal.load(EVENTS // 4)
        workers.append(ordeal.start(group=group))
        time.sleep(ordeal.chance.random() * 0.5)
        ordeal.kill(workers.pop(0))
    ordeal.kill(workers.pop())


def broker_crash(ordeal, stack):
    """The broker dies under a worker that works, and comes back."""
    ordeal.load(EVENTS)
    worker = ordeal.start()
    ordeal.wait_until_moved(worker)
    stack.broker.kill()
    stack.broker.start()
    ordeal.load(EVENTS // 4)
    ordeal.wait_until_caught_up(worker)
    ordeal.kill(worker)


def postgres_crash(ordeal, stack):
    """PostgreSQL dies under a worker that works, and comes back; what it had not flushed is read again."""
    ordeal.load(EVENTS)
    worker = ordeal.start()
    ordeal.wait_until_moved(worker)
    stack.postgres.kill()
    stack.postgres.start()
    ordeal.load(EVENTS // 4)
    ordeal.wait_until_caught_up(worker)
    ordeal.kill(worker)


def toxic_network(ordeal, stack):
    """Slow, sliced and broken connections to both; the worker gets through nevertheless."""
    ordeal.load(EVENTS)
    proxies = (stack.before_kafka, stack.before_postgres)
    for proxy in proxies:
        proxy.slice_bytes, proxy.delay_s = ordeal.chance.choice((7, 100, 1000)), 0.002
    try:
        worker = ordeal.start()
        ordeal.wait_until_moved(worker)
        for _ in range(3):
            time.sleep(ordeal.chance.random() * 0.2)
            ordeal.chance.choice(proxies).reset()
    finally:
        for proxy in proxies:
            proxy.slice_bytes, proxy.delay_s = 65_536, 0.0
    ordeal.wait_until_caught_up(worker)
    ordeal.kill(worker)


RANDOM_FAULTS = (
    kill,
    zombie,
    two_with_one_identity,
    rebalance_storm,
    broker_crash,
    postgres_crash,
    toxic_network,
)


def is_stopped(worker):
    """Whether the process is frozen by a signal."""
    with open(f"/proc/{worker.pid}/stat") as stat:
        return stat.read().rpartition(") ")[2].startswith("T")
