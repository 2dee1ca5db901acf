"""Verdicts of many traces: fetched a few at a time, judged off the event loop, remembered.

A trace that is a few minutes old does not change any more, so its verdict is kept for long; that of a fresh one for seconds.
What was begun goes on after a page's deadline, so that the next look finds more of it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
from cachetools import TLRUCache

from app.analysis.verdict import Confidence, Decision, FindingKind, Layer, Outcome, Verdict
from app.errors import NotFound, SourceError
from app.sources.tempo import TempoClient
from app.times import MINUTE, UnixNanos
from app.traces.model import Trace

_SETTLED = 5 * MINUTE
_LONG_S, _SHORT_S = 3_600.0, 20.0
_AT_ONCE = 6  # of the source's slots, so that pages still get theirs
_MOST_KEPT = 20_000
_MOST_UNDER_WAY = 2_000

Examine: TypeAlias = Callable[[Trace], Verdict]


class Judged(msgspec.Struct, frozen=True):
    """What a list shows of a verdict, and of the trace it rests on. Of an allowed request `layer` is the last that allowed.

    failed_open: a check denied or broke, and the guarded action went on.
    """

    trace_id: str
    outcome: Outcome
    layer: Layer | None
    service: str
    reason: str
    reason_code: str
    principal: str
    client_address: str
    sentence: str
    confidence: Confidence
    start_ns: UnixNanos
    duration_ns: int
    spans: int
    partial: bool
    failed_open: bool = False


class Unjudged(msgspec.Struct, frozen=True):
    """No verdict, and why: a sentence. `gone`: the backend has no such trace."""

    trace_id: str
    why: str
    gone: bool = False


def judged(trace: Trace, verdict: Verdict, *, partial: bool) -> Judged:
    allowing = [step.layer for step in verdict.layers if step.decision is Decision.ALLOW]
    passed = allowing[-1] if verdict.outcome is Outcome.ALLOWED and allowing else None
    return Judged(
        trace_id=trace.trace_id,
        outcome=verdict.outcome,
        layer=verdict.layer or passed,
        service=verdict.service or "",
        reason=verdict.reason or "",
        reason_code=verdict.reason_code or "",
        principal=verdict.principal or "",
        client_address=verdict.client_address or "",
        sentence=verdict.sentence,
        confidence=verdict.confidence,
        start_ns=UnixNanos(trace.start_ns),
        duration_ns=trace.duration_ns,
        spans=len(trace),
        partial=partial,
        failed_open=any(finding.kind is FindingKind.FAIL_OPEN for finding in verdict.findings),
    )


class Judgements:
    """One per process and backend. When the rules that `examine` judges by change, it has to be told to `forget`."""

    def __init__(self, tempo: TempoClient, examine: Examine, *, clock: Callable[[], UnixNanos]) -> None:
        self._tempo = tempo
        self._examine = examine
        self._clock = clock
        self._era = 0  # of the rules
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._kept: TLRUCache[str, Judged] = TLRUCache(_MOST_KEPT, ttu=lambda _id, verdict, now: now + self._keep_s(verdict))
        self._under_way: dict[str, asyncio.Task[Judged | Unjudged]] = {}  # by the rules in force
        self._tasks: set[asyncio.Task[Judged | Unjudged]] = set()  # all of them

    async def of(self, trace_ids: Sequence[str], *, deadline_s: float) -> dict[str, Judged | Unjudged]:
        """The verdicts there are when all are judged or the deadline has passed; the rest goes on and is there next time."""
        found: dict[str, Judged | Unjudged] = {}
        waiting: list[asyncio.Task[Judged | Unjudged]] = []
        for trace_id in dict.fromkeys(trace_ids):
            kept = self._kept.get(trace_id)
            if kept is not None:
                found[trace_id] = kept
            elif (task := self._task(trace_id)) is not None:
                waiting.append(task)
        if waiting:
            done, _ = await asyncio.wait(waiting, timeout=deadline_s)
            found |= {one.trace_id: one for one in (task.result() for task in done)}
        return found

    def forget(self) -> None:
        """The rules have changed: every trace is judged anew when it is asked for."""
        self._era += 1
        self._kept.clear()
        self._under_way.clear()

    def _task(self, trace_id: str) -> asyncio.Task[Judged | Unjudged] | None:
        task = self._under_way.get(trace_id)
        if task is None and len(self._tasks) < _MOST_UNDER_WAY:
            task = asyncio.ensure_future(self._judge(trace_id))
            self._under_way[trace_id] = task
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._done(trace_id, done))
        return task

    def _done(self, trace_id: str, task: asyncio.Task[Judged | Unjudged]) -> None:
        self._tasks.discard(task)
        if self._under_way.get(trace_id) is task:
            del self._under_way[trace_id]

    async def _judge(self, trace_id: str) -> Judged | Unjudged:
        async with self._slots:
            try:
                trace, received = await self._tempo.trace(trace_id)
            except NotFound:
                return Unjudged(trace_id, "Tempo has no such trace: not stored, or not any more.", gone=True)
            except SourceError as error:
                return Unjudged(trace_id, error.sentence)
            era = self._era
            verdict = await asyncio.to_thread(self._examine, trace)
        one = judged(trace, verdict, partial=received.partial or trace.partial)
        # Kept under the id that was asked for, which may be written otherwise than the trace's own.
        one = msgspec.structs.replace(one, trace_id=trace_id)
        if era == self._era:
            self._kept[trace_id] = one
        return one

    def _keep_s(self, verdict: Judged) -> float:
        settled = self._clock() - (verdict.start_ns + verdict.duration_ns) > _SETTLED
        return _LONG_S if settled else _SHORT_S

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
