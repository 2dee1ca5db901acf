"""One answer for all who ask at the same time; what failed is asked again."""

import asyncio

import pytest

from app.investigation.shared import Shared


async def test_who_asks_while_it_is_under_way_gets_the_same_answer():
    calls, gate = [], asyncio.Event()

    async def make():
        calls.append(1)
        await gate.wait()
        return "answer"

    shared = Shared()
    waiting = [asyncio.ensure_future(shared.get("k", make, ttl_s=10)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == ["answer"] * 5
    assert await shared.get("k", make, ttl_s=10) == "answer"
    assert len(calls) == 1


async def test_an_answer_is_kept_no_longer_than_told():
    calls = []

    async def make():
        calls.append(1)
        return len(calls)

    shared = Shared()
    assert [await shared.get("k", make, ttl_s=0) for _ in range(2)] == [1, 2]


async def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    answers = iter([RuntimeError("no"), "yes"])

    async def make():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = Shared()
    with pytest.raises(RuntimeError):
        await shared.get("k", make, ttl_s=10)
    assert await shared.get("k", make, ttl_s=10) == "yes"


async def test_work_goes_on_when_the_first_reader_leaves():
    gate, done = asyncio.Event(), []

    async def make():
        await gate.wait()
        done.append(1)
        return "answer"

    shared = Shared()
    first = asyncio.ensure_future(shared.get("k", make, ttl_s=10))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.ensure_future(shared.get("k", make, ttl_s=10))
    await asyncio.sleep(0)
    gate.set()
    assert await second == "answer"
    assert done == [1]


async def test_closing_ends_what_is_under_way():
    shared = Shared()
    task = asyncio.ensure_future(shared.get("k", asyncio.Event().wait, ttl_s=10))
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await task
