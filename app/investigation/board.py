"""All alerts in a stretch of time: every source asked at once, each failing alone, the answers merged.

A page does not wait for the slowest: after a moment it is drawn with what has come, and says who is still being asked.
What was begun goes on, and the next look finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from cachetools import LRUCache

from app.db.session import Database
from app.errors import SourceError, SourceUnavailable
from app.investigation import measure, store, summary
from app.investigation.alerts import Alert, Episode, Kept, Source, Told, merge
from app.investigation.firing import FiringHistory
from app.investigation.sources import Sources
from app.investigation.store import NoticeGap
from app.sources.values import Rule, SourceHealth
from app.times import DAY, UnixNanos, to_datetime

T = TypeVar("T")

# Whoever asks within this time gets the same answers: several people look at one list.
_SAME_S = 1.5
_STRIP = DAY
_MOST_PEAKS = 20


class Trouble(msgspec.Struct, frozen=True):
    """A source that did not do its part. `missing`: what the page lacks for it, as a sentence."""

    source: str
    sentence: str
    missing: str
    detail: str = ""
    since_ns: UnixNanos | None = None
    retry: bool = True


class Board(msgspec.Struct, frozen=True):
    """The alerts of a window, and how far they can be trusted.

    alerts:  those with an episode in the window; no order.
    rules:   all rules as loaded now.
    waiting: sources that have not answered yet.
    """

    start_ns: UnixNanos
    now_ns: UnixNanos
    alerts: tuple[Alert, ...]
    rules: tuple[Rule, ...]
    troubles: tuple[Trouble, ...]
    waiting: tuple[str, ...]
    healths: tuple[SourceHealth, ...]
    gaps: tuple[NoticeGap, ...]
    last_notice_ns: UnixNanos | None

    @property
    def whole(self) -> bool:
        return not self.troubles and not self.waiting


class _Memory(msgspec.Struct, frozen=True):
    kept: list[Kept]
    gaps: list[NoticeGap]
    last_notice_ns: UnixNanos | None


class _Round:
    """One asking of all sources. Each part is a task whose result is its answer or the SourceError."""

    def __init__(self, monotonic: Callable[[], float], now_ns: UnixNanos, parts: dict[str, Awaitable[Any]]) -> None:
        self.now_ns = now_ns
        self.fresh_s = monotonic()  # when the last answer came
        self.tasks = {name: asyncio.ensure_future(part) for name, part in parts.items()}
        for task in self.tasks.values():
            task.add_done_callback(lambda _: self._answered(monotonic()))

    def _answered(self, at_s: float) -> None:
        self.fresh_s = at_s

    @property
    def done(self) -> bool:
        return all(task.done() for task in self.tasks.values())

    async def wait(self, seconds: float) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks.values(), timeout=seconds)

    def answer(self, part: str, otherwise: T) -> T:
        task = self.tasks.get(part)
        if task is None or not task.done():
            return otherwise
        result = task.result()
        return otherwise if isinstance(result, SourceError) else result

    def failure(self, part: str) -> SourceError | None:
        task = self.tasks.get(part)
        if task is None or not task.done():
            return None
        result = task.result()
        return result if isinstance(result, SourceError) else None

    def waits_for(self, part: str) -> bool:
        return part in self.tasks and not self.tasks[part].done()

    def answered(self, part: str) -> bool:
        return part in self.tasks and not self.waits_for(part) and self.failure(part) is None


# Each part: whose it is, and what a page lacks without it.
_PARTS = {
    "alerts": ("Prometheus", "Alerts firing now may be missing."),
    "rules": ("Prometheus", "Rules are missing: summaries, charts and searches are poorer for it."),
    "history": ("Prometheus", "Past firings are missing, except those that Clew has kept."),
    "alertmanager": ("Alertmanager", "Silences, and alerts that only Alertmanager knows, are missing."),
}


class Gatherer:
    """Asks the sources, merges, measures what a past alert's summary needs. One per process."""

    def __init__(self, sources: Sources, database: Database, *, monotonic: Callable[[], float]) -> None:
        self._sources = sources
        self._database = database
        self._monotonic = monotonic
        self._history = FiringHistory(sources.prometheus) if sources.prometheus else None
        self._rounds: dict[int, _Round] = {}
        self._peaks: LRUCache[str, float | None] = LRUCache(5_000)

    async def board(self, span_ns: int, now_ns: UnixNanos, *, wait_s: float) -> Board:
        """The alerts of the last `span_ns`; the answers there are after `wait_s`."""
        round_ = self._round(max(span_ns, _STRIP), now_ns)
        deadline = self._monotonic() + wait_s
        await round_.wait(wait_s)
        memory = round_.answer("memory", _Memory([], [], None))
        answered = {Source.PROMETHEUS} if round_.answered("alerts") else set()
        answered |= {Source.ALERTMANAGER} if round_.answered("alertmanager") else set()
        rules = round_.answer("rules", ())
        told = Told(
            live=round_.answer("alerts", ()),
            history=round_.answer("history", ()),
            alertmanager=round_.answer("alertmanager", ()),
            kept=memory.kept,
            rules=rules,
            answered=frozenset(answered),
        )
        start = UnixNanos(now_ns - span_ns)
        merged = [alert for alert in merge(told, now_ns=round_.now_ns) if (alert.episode.ended_ns or now_ns) >= start]
        merged = await self._with_peaks(merged, max(0.0, deadline - self._monotonic()))
        return Board(
            start_ns=start,
            now_ns=round_.now_ns,
            alerts=tuple(merged),
            rules=rules,
            troubles=tuple(self._troubles(round_)),
            waiting=tuple(dict.fromkeys(name for part, (name, _) in _PARTS.items() if round_.waits_for(part))),
            healths=self._sources.healths(),
            gaps=tuple(memory.gaps),
            last_notice_ns=memory.last_notice_ns,
        )

    async def with_past_peaks(self, alert: Alert, wait_s: float) -> Alert:
        """The alert with the farthest values of its ended episodes, as far as they come in time; the rest comes next time."""
        prometheus = self._sources.prometheus
        wanted = [e for e in alert.episodes if e.peak is None and e.ended_ns is not None and e.fired_ns is not None]
        if prometheus is None or alert.rule is None:
            return alert
        unknown = [e for e in wanted if alert.key_of(e) not in self._peaks][-_MOST_PEAKS:]
        await self._ask_peaks([msgspec.structs.replace(alert, episode=e) for e in unknown], wait_s)
        known = {e.started_ns: value for e in wanted if (value := self._peaks.get(alert.key_of(e))) is not None}

        def told(episode: Episode) -> Episode:
            value = known.get(episode.started_ns) if episode.peak is None else None
            return episode if value is None else msgspec.structs.replace(episode, peak=value)

        return msgspec.structs.replace(alert, episode=told(alert.episode), episodes=tuple(map(told, alert.episodes)))

    async def close(self) -> None:
        tasks = [task for round_ in self._rounds.values() for task in round_.tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _round(self, span_ns: int, now_ns: UnixNanos) -> _Round:
        known = self._rounds.get(span_ns)
        if known is not None and (not known.done or self._monotonic() - known.fresh_s < _SAME_S):
            return known
        prometheus, alertmanager = self._sources.prometheus, self._sources.alertmanager
        parts: dict[str, Awaitable[Any]] = {"memory": self._remembered(now_ns - span_ns, now_ns)}
        if prometheus is not None and self._history is not None:
            rules = asyncio.ensure_future(_or_error(prometheus.rules()))
            parts["alerts"] = _or_error(prometheus.alerts())
            parts["rules"] = rules
            parts["history"] = _or_error(self._history.between(now_ns - span_ns, now_ns, asyncio.ensure_future(_known(rules))))
        if alertmanager is not None:
            parts["alertmanager"] = _or_error(alertmanager.alerts())
        round_ = _Round(self._monotonic, now_ns, parts)
        self._rounds[span_ns] = round_
        return round_

    async def _remembered(self, start_ns: int, end_ns: int) -> _Memory:
        async with self._database.reading() as db:
            return _Memory(
                kept=[
                    *await store.episodes_between(db, start_ns, end_ns),
                    *await store.received_between(db, start_ns, end_ns),
                ],
                gaps=await store.gaps_since(db, to_datetime(start_ns)),
                last_notice_ns=await store.last_notice(db),
            )

    def _troubles(self, round_: _Round) -> list[Trouble]:
        """One for each source: where all of Prometheus fails, one sentence says it."""
        found: dict[str, Trouble] = {}
        for part, (name, missing) in _PARTS.items():
            error = round_.failure(part)
            if error is None:
                continue
            before = found.get(name)
            if before is not None:
                found[name] = msgspec.structs.replace(before, missing=f"{before.missing} {missing}")
                continue
            health = next((health for health in self._sources.healths() if health.source == name), None)
            found[name] = Trouble(
                source=name,
                sentence=error.sentence,
                missing=missing,
                detail=error.detail,
                since_ns=health.failing_since_ns if health else None,
                retry=isinstance(error, SourceUnavailable),
            )
        return list(found.values())

    async def _with_peaks(self, alerts: list[Alert], wait_s: float) -> list[Alert]:
        """Past alerts with the value that their summary needs: asked once for each, and then kept with the episode."""
        if self._sources.prometheus is None:
            return alerts
        unknown = [alert for alert in alerts if alert.key not in self._peaks and _lacks_value(alert)][:_MOST_PEAKS]
        await self._ask_peaks(unknown, wait_s)
        return [
            with_peak(alert, found) if _lacks_value(alert) and (found := self._peaks.get(alert.key)) is not None else alert
            for alert in alerts
        ]

    async def _ask_peaks(self, alerts: list[Alert], wait_s: float) -> None:
        """Ask for the peaks of these alerts' episodes, for so long; what came is in `_peaks`."""
        prometheus = self._sources.prometheus
        if prometheus is None or not alerts or wait_s <= 0:
            return

        async def find(alert: Alert) -> None:
            self._peaks[alert.key] = await measure.peak(prometheus, alert)

        tasks = [asyncio.ensure_future(find(alert)) for alert in alerts]
        _, late = await asyncio.wait(tasks, timeout=wait_s)
        for task in late:
            task.cancel()


def with_peak(alert: Alert, value: float) -> Alert:
    """The alert with the farthest value of its episode."""
    episode = msgspec.structs.replace(alert.episode, peak=value)
    episodes = tuple(episode if known is alert.episode else known for known in alert.episodes)
    return msgspec.structs.replace(alert, episode=episode, episodes=episodes)


def _lacks_value(alert: Alert) -> bool:
    return alert.episode.ended_ns is not None and summary.needs_value(alert)


async def _or_error(answer: Awaitable[T]) -> T | SourceError:
    try:
        return await answer
    except SourceError as error:
        return error


async def _known(rules: Awaitable[tuple[Rule, ...] | SourceError]) -> tuple[Rule, ...]:
    found = await rules
    return () if isinstance(found, SourceError) else found
