"""A trace is fetched and judged once for all who look at it, and let go of soon."""

import asyncio
import gc

import pytest
from support.draw import draw
from support.stories import refused_by_policy

from app.errors import NotFound
from app.investigation import opened
from app.investigation.opened import OpenTraces
from app.sources.values import TraceBytes
from app.times import UnixNanos
from app.traces.model import Node


def received(body: bytes = b"{}") -> TraceBytes:
    return TraceBytes("a" * 32, body, "application/json", "", "", UnixNanos(1))


class Tempo:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, trace_id: str):
        self.asked.append(trace_id)
        await self.gate.wait()
        if trace_id == "gone":
            raise NotFound("no such trace")
        return refused_by_policy()[0], received()


def judge(trace):
    return refused_by_policy()[1]


async def test_one_fetch_serves_all_who_ask_at_once_and_shortly_after():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge)
    tempo.gate.clear()
    waiting = [asyncio.create_task(traces.open("a")) for _ in range(5)]
    await asyncio.sleep(0)
    tempo.gate.set()
    opened = await asyncio.gather(*waiting)
    assert len({id(one) for one in opened}) == 1
    assert await traces.open("a") is opened[0]
    assert tempo.asked == ["a"]


async def test_a_change_of_the_rules_has_every_trace_judged_anew():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge)
    first = await traces.open("a")
    assert await traces.current(first) is first
    traces.forget()
    second = await traces.current(first)
    assert second is not first
    assert second.trace is first.trace
    assert await traces.open("a") is not first
    assert tempo.asked == ["a", "a"]


async def test_a_trace_opened_while_the_rules_change_is_not_kept():
    tempo = Tempo()
    rules = asyncio.Event()

    def changing(trace):
        if not rules.is_set():
            rules.set()
            traces.forget()
        return judge(trace)

    traces = OpenTraces(tempo.fetch, changing)
    first = await traces.open("a")
    assert await traces.open("a") is not first


async def test_fresh_asks_the_source_again():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge)
    first = await traces.open("a")
    assert await traces.open("a", fresh=True) is not first
    assert tempo.asked == ["a", "a"]


async def test_a_reader_who_leaves_does_not_take_the_trace_from_another():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge)
    tempo.gate.clear()
    leaving, staying = asyncio.create_task(traces.open("a")), asyncio.create_task(traces.open("a"))
    await asyncio.sleep(0)
    leaving.cancel()
    tempo.gate.set()
    assert (await staying).trace.trace_id
    assert tempo.asked == ["a"]


async def test_a_failure_is_not_kept():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge)
    for _ in range(2):
        with pytest.raises(NotFound):
            await traces.open("gone")
    assert tempo.asked == ["gone", "gone"]


async def test_kept_traces_are_let_go_of_after_their_time_and_when_they_are_too_many():
    tempo = Tempo()
    traces = OpenTraces(tempo.fetch, judge, keep_s=0.01)
    await traces.open("a")
    await asyncio.sleep(0.05)
    await traces.open("a")
    assert tempo.asked == ["a", "a"]
    small = OpenTraces(tempo.fetch, judge, most_spans=20)  # a trace has 18
    await small.open("b")
    await small.open("c")
    await small.open("b")
    assert tempo.asked[2:] == ["b", "c", "b"]


async def test_the_memory_of_a_forgotten_trace_comes_back(monkeypatch):
    monkeypatch.setattr(opened, "_COLLECTED", 2)

    async def fetch(trace_id: str):
        return draw("door: GET /  0-10ms\n  inner: look  1-2ms"), received()

    def nodes() -> int:
        return sum(isinstance(thing, Node) for thing in gc.get_objects())

    verdict = refused_by_policy()[1]
    gc.collect()
    gc.disable()  # spans and their parents hold each other: it is the collector that takes them, and nobody else calls it
    try:
        before = nodes()
        traces = OpenTraces(fetch, lambda _: verdict, keep_s=0.01)
        await traces.open("a")
        assert nodes() == before + 2
        await asyncio.sleep(0.1)
        assert nodes() == before
    finally:
        gc.enable()


async def test_what_a_page_works_out_is_kept_with_the_trace():
    opened = await OpenTraces(Tempo().fetch, judge).open("a")
    assert opened.derived("x", list) is opened.derived("x", list)
    assert opened.sha256 == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
