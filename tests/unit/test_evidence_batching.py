import asyncio

import pytest

from consumers.evidence import batching
from consumers.evidence.batching import BATCH_MAX, Batcher
from consumers.evidence.errors import BusyError, UnavailableError


class Worker:
    """Answers batches, and keeps what was in them."""

    def __init__(self, fault=None):
        self.batches = []
        self.fault = fault

    async def answer(self, questions):
        self.batches.append(list(questions))
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return [question * 10 for question in questions]


def run(scenario):
    async def whole():
        batcher = Batcher()
        worker = Worker()
        task = asyncio.create_task(batcher.work(worker.answer, while_true=lambda: True))
        try:
            return await scenario(batcher, worker)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(whole())


def test_those_who_ask_in_one_turn_share_a_batch_and_get_each_their_own_answer():
    async def scenario(batcher, worker):
        return await asyncio.gather(*(batcher.ask(number) for number in range(10))), worker.batches

    answers, batches = run(scenario)

    assert answers == [number * 10 for number in range(10)]
    assert batches == [list(range(10))]


def test_a_batch_is_bounded():
    async def scenario(batcher, worker):
        await asyncio.gather(*(batcher.ask(number) for number in range(BATCH_MAX + 5)))
        return [len(batch) for batch in worker.batches]

    assert run(scenario) == [BATCH_MAX, 5]


def test_a_batch_that_fails_fails_for_those_in_it_and_the_next_is_answered():
    async def scenario(batcher, worker):
        worker.fault = UnavailableError("the database is away")
        failed = await asyncio.gather(*(batcher.ask(number) for number in range(3)), return_exceptions=True)
        worker.fault = None
        return failed, await batcher.ask(4)

    failed, answer = run(scenario)

    assert [type(one) for one in failed] == [UnavailableError] * 3
    assert answer == 40


def test_a_caller_who_goes_away_harms_no_other():
    async def scenario(batcher, worker):
        gone, stays = (asyncio.create_task(batcher.ask(number)) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays, worker.batches

    answer, batches = run(scenario)

    assert answer == 20
    assert batches == [[1, 2]]


def test_more_than_can_wait_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr(batching, "WAITING_MAX", 2)

    async def scenario():
        batcher = Batcher()
        waiting = [asyncio.create_task(batcher.ask(number)) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await batcher.ask(3)
        for task in waiting:
            task.cancel()

    asyncio.run(scenario())


def test_while_nobody_can_answer_everybody_is_told_at_once():
    async def scenario():
        batcher = Batcher()
        asked = asyncio.create_task(batcher.ask(1))
        await batcher.fail_for(0.01)
        with pytest.raises(UnavailableError):
            await asked

    asyncio.run(scenario())


async def held_up(newcomers):
    """The batches that two workers take when one of them is held up over the first and others come meanwhile."""
    batcher, batches, may_go = Batcher(), [], asyncio.Event()

    async def answer(questions):
        batches.append(list(questions))
        if len(batches) == 1:
            await may_go.wait()
        return questions

    tasks = [asyncio.create_task(batcher.work(answer, while_true=lambda: True)) for _ in range(2)]
    first = asyncio.create_task(batcher.ask(0))
    await asyncio.sleep(0)
    await asyncio.gather(*(batcher.ask(number) for number in range(1, newcomers + 1)))
    may_go.set()
    await first
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return batches


@pytest.mark.parametrize("newcomers", [1, batching.CROWD])
def test_a_worker_that_is_held_up_holds_nobody_else_up(newcomers):
    assert asyncio.run(held_up(newcomers)) == [[0], list(range(1, newcomers + 1))]


def test_those_who_come_one_after_the_other_while_one_is_at_work_are_one_batch():
    async def scenario():
        batcher, batches, may_go = Batcher(), [], asyncio.Event()

        async def answer(questions):
            batches.append(list(questions))
            await may_go.wait()
            return questions

        workers = [asyncio.create_task(batcher.work(answer, while_true=lambda: True)) for _ in range(2)]
        asked = []
        for number in range(6):
            asked.append(asyncio.create_task(batcher.ask(number)))
            await asyncio.sleep(0)
        may_go.set()
        await asyncio.gather(*asked)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return batches

    first, rest = asyncio.run(scenario())

    assert [*first, *rest] == [0, 1, 2, 3, 4, 5]
