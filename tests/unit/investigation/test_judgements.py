"""Many verdicts: a few at a time, once each, and no longer waited for than told."""

import asyncio
import threading

import pytest
from support import stories

from app.analysis.verdict import Decision, Layer, LayerDecision, Outcome
from app.errors import NotFound, SourceUnavailable
from app.investigation.judgements import Judgements, Unjudged, judged
from app.sources.values import TraceBytes
from app.times import HOUR, SECOND, UnixNanos


class Shelf:
    """Tempo, as far as this goes."""

    def __init__(self):
        self.asked, self.at_once, self.most_at_once = [], 0, 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = {}

    async def trace(self, trace_id):
        self.asked.append(trace_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if trace_id in self.failures:
                raise self.failures[trace_id]
            trace, _ = stories.allowed()
            return trace, TraceBytes(trace_id, b"{}", "application/json", "http://tempo", "", UnixNanos(0))
        finally:
            self.at_once -= 1


def examine(trace):
    return stories.allowed()[1]


def ids(count):
    return [f"{n:032x}" for n in range(1, count + 1)]


@pytest.fixture
def shelf():
    return Shelf()


def judge(shelf, *, age=HOUR):
    trace, _ = stories.allowed()
    return Judgements(shelf, examine, clock=lambda: UnixNanos(trace.end_ns + age))


async def test_each_trace_is_judged_once_and_only_a_few_at_a_time(shelf):
    judgements = judge(shelf)
    found = await judgements.of(ids(40), deadline_s=5)
    assert set(found) == set(ids(40))
    assert all(one.outcome is Outcome.ALLOWED for one in found.values())
    assert shelf.most_at_once <= 6
    await judgements.of(ids(40), deadline_s=5)
    assert len(shelf.asked) == 40


async def test_the_deadline_gives_what_there_is_and_the_rest_goes_on(shelf):
    judgements = judge(shelf)
    await judgements.of(ids(3), deadline_s=5)
    shelf.gate.clear()
    assert set(await judgements.of(ids(9), deadline_s=0.02)) == set(ids(3))
    shelf.gate.set()
    assert set(await judgements.of(ids(9), deadline_s=5)) == set(ids(9))
    assert len(shelf.asked) == 9
    await judgements.close()


async def test_what_failed_says_why_and_is_tried_again(shelf):
    gone, broken = ids(2)
    shelf.failures = {
        gone: NotFound("no"),
        broken: SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s."),
    }
    judgements = judge(shelf)
    found = await judgements.of([gone, broken], deadline_s=5)
    assert found[gone] == Unjudged(gone, "Tempo has no such trace: not stored, or not any more.", gone=True)
    assert found[broken].why == "Tempo did not answer within 15 s."
    shelf.failures = {}
    assert (await judgements.of([broken], deadline_s=5))[broken].outcome is Outcome.ALLOWED


async def test_after_a_change_of_the_rules_every_trace_is_judged_anew(shelf):
    judgements = judge(shelf)
    await judgements.of(ids(3), deadline_s=5)
    judgements.forget()
    await judgements.of(ids(3), deadline_s=5)
    assert len(shelf.asked) == 6


async def test_what_was_being_judged_by_the_old_rules_is_not_kept(shelf):
    begun, go = threading.Event(), threading.Event()
    trace, verdict = stories.allowed()

    def slow(_trace):
        begun.set()
        assert go.wait(10)
        return verdict

    judgements = Judgements(shelf, slow, clock=lambda: UnixNanos(trace.end_ns + HOUR))
    waiting = asyncio.create_task(judgements.of(ids(1), deadline_s=10))
    await asyncio.to_thread(begun.wait, 10)
    judgements.forget()
    go.set()
    assert (await waiting)[ids(1)[0]].outcome is Outcome.ALLOWED
    await judgements.of(ids(1), deadline_s=5)
    assert len(shelf.asked) == 2
    await judgements.close()


async def test_closing_leaves_nothing_running(shelf):
    judgements = judge(shelf)
    shelf.gate.clear()
    await judgements.of(ids(3), deadline_s=0.01)
    await judgements.close()
    await asyncio.sleep(0)
    assert shelf.at_once == 0


def test_a_fresh_trace_may_still_grow_and_is_kept_for_seconds_only(shelf):
    trace, verdict = stories.allowed()
    one = judged(trace, verdict, partial=False)
    assert judge(shelf, age=HOUR)._keep_s(one) > 600
    assert judge(shelf, age=10 * SECOND)._keep_s(one) < 60


def test_of_an_allowed_request_the_last_layer_that_allowed_is_named():
    trace, _ = stories.allowed()
    steps = tuple(LayerDecision(layer, "x", Decision.ALLOW) for layer in (Layer.API_GATEWAY, Layer.POLICY_ENGINE))
    told = stories.verdict(trace, outcome=Outcome.ALLOWED, layers=steps)
    assert judged(trace, told, partial=False).layer is Layer.POLICY_ENGINE
