"""The verbs of an investigation: list alerts, look at one, draw its metric, find its traces, receive a notification.

investigation = Investigation(sources, database, examine, labels.load())
board = await investigation.board(DAY, now_ns=now)
alert = await investigation.alert(key, now_ns=now)
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Iterable

import msgspec
from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession

from app import times
from app.db.session import Database
from app.errors import InvalidInput, NotFound, SourceError
from app.investigation import measure, pivots, store
from app.investigation.alerts import Alert, Episode, Source, Told, merge, parse_key, state
from app.investigation.behind import Behind, Finder
from app.investigation.board import Board, Gatherer
from app.investigation.judgements import Examine, Judgements
from app.investigation.labels import LabelMap
from app.investigation.measure import Measure, Range
from app.investigation.pivots import Plan
from app.investigation.shared import Shared
from app.investigation.sources import Sources
from app.investigation.walk import Walks
from app.security import audit
from app.security.audit import Act
from app.security.roles import CLEW
from app.sources.tempo import TempoClient
from app.sources.values import AlertHistory, Exemplar, FiringAlert
from app.sources.webhook import decode_webhook
from app.times import DAY, MINUTE, UnixNanos

_log = logging.getLogger("clew.investigation")

# A page is drawn after this long, with what has come by then.
FIRST_LOOK_S = 0.7
# A refresh or a fragment waits for all; each source has a deadline of its own, well before this.
WHOLE_S = 40.0
# Peaks of earlier firings are worth a moment, not more.
_PEAKS_S = 0.4
_SEEN_EVERY = 5 * MINUTE
_MOST_NOTED = 20_000


class Seen(msgspec.Struct, frozen=True):
    """One alert with what was known around it.

    before: its episodes that Clew or the sources remember, the newest first.
    board:  the alerts of the same time, for what is near it.
    """

    alert: Alert
    board: Board
    plan: Plan
    before: tuple[Episode, ...]


class Investigation:
    """One per process; close it."""

    def __init__(
        self, sources: Sources, database: Database, examine: Examine, labels: LabelMap, *, most_judged: int = 500
    ) -> None:
        """most_judged: traces behind one alert that are fetched and judged; all are counted."""
        self.sources = sources
        self.labels = labels
        self._database = database
        self._gatherer = Gatherer(sources, database, monotonic=_monotonic)
        self._judgements = Judgements(sources.tempo, examine, clock=times.now_ns) if sources.tempo else None
        self._finder = Finder(sources, self._judgements, most_judged=most_judged)
        self._exemplars: Shared[tuple[str, ...], tuple[tuple[Exemplar, ...], bool | None]] = Shared()
        self.walks = Walks()
        self._noted: LRUCache[str, tuple[object, ...]] = LRUCache(_MOST_NOTED)
        self._writing: set[asyncio.Task[None]] = set()
        self._greeting: asyncio.Task[None] | None = None

    @property
    def judgements(self) -> Judgements | None:
        """The verdicts of single traces, shared with whoever lists traces; None where there is no Tempo."""
        return self._judgements

    async def close(self) -> None:
        await self.settle()
        if self._greeting is not None:
            self._greeting.cancel()
        await self._gatherer.close()
        await self._finder.close()
        await self._exemplars.close()
        if self._judgements is not None:
            await self._judgements.close()

    async def settle(self) -> None:
        """Wait until what was seen is written down."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------- alerts

    async def board(self, span_ns: int, *, now_ns: UnixNanos, wait_s: float = WHOLE_S) -> Board:
        """All alerts of the last `span_ns`, each source failing alone. What is new about them is written down."""
        self._greet(now_ns)
        board = await self._gatherer.board(span_ns, now_ns, wait_s=wait_s)
        self._note(board.alerts, now_ns)
        return board

    def _greet(self, now_ns: UnixNanos) -> None:
        """Ask Tempo the smallest real question where it is not known to answer: that matters before a trace is wanted."""
        tempo = self.sources.tempo
        if tempo is None or (self._greeting is not None and not self._greeting.done()):
            return
        if tempo.health.last_success_ns is None or tempo.health.failing_since_ns is not None:
            self._greeting = asyncio.ensure_future(_asked_anything(tempo, now_ns))

    async def alert(self, key: str, *, now_ns: UnixNanos, wait_s: float = WHOLE_S) -> Seen:
        """One alert at the episode that the key names.

        Errors: NotFound; an alert that no source and not Clew itself remembers cannot be told from one that never was.
        """
        named = parse_key(key)
        if named is None:
            raise NotFound("No alert has such a key.")
        print_, started_ns = named
        board = await self.board(DAY, now_ns=now_ns, wait_s=wait_s)
        async with self._database.reading() as db:
            kept = await store.episodes_of(db, print_)
        known = next((alert for alert in board.alerts if alert.fingerprint == print_), None)
        alert = _with_kept(known, merge(Told(kept=kept, rules=board.rules), now_ns=now_ns), now_ns)
        if alert is not None:
            alert = await self._gatherer.with_past_peaks(alert, min(wait_s, _PEAKS_S))
            self._note([alert], now_ns)
        found = alert.at(started_ns, now_ns) if alert else None
        if found is None:
            if board.waiting or board.troubles:
                asked = ", ".join([*board.waiting, *(trouble.source for trouble in board.troubles)])
                raise NotFound(f"Clew does not remember this alert, and {asked} did not answer to tell more.")
            raise NotFound("No source knows this alert any more, and Clew has not kept it.")
        plan = pivots.plan(found, rules=board.rules, labels=self.labels, now_ns=now_ns)
        return Seen(found, board, plan, tuple(sorted(found.episodes, key=lambda e: -e.started_ns)))

    async def measure(self, seen: Seen, span: Range, *, now_ns: UnixNanos) -> Measure | SourceError:
        """The metric that tripped it; the error where it could not be had."""
        prometheus = self.sources.prometheus
        if prometheus is None:
            begin, end = measure.window(seen.alert.episode, span, now_ns)
            return Measure(
                "", (), None, seen.alert.intervals, (), (begin, end), "Without Prometheus there is no curve to draw."
            )
        begin, end = measure.window(seen.alert.episode, span, now_ns)
        exemplars = await self._exemplars_of(seen.plan, begin, end)
        try:
            found = await measure.measured(prometheus, seen.alert, span, now_ns=now_ns, exemplars=exemplars)
        except SourceError as error:
            return error
        self._note_peak(seen.alert, found, now_ns)
        return found

    async def behind(self, seen: Seen, way: str | None, *, now_ns: UnixNanos, deadline_s: float) -> Behind:
        """The traces behind an alert, as far as they are found and judged by the deadline."""
        return await self._finder.behind(seen.plan, way, now_ns=now_ns, deadline_s=deadline_s)

    async def _exemplars_of(self, plan: Plan, begin: UnixNanos, end: UnixNanos) -> tuple[Exemplar, ...]:
        prometheus = self.sources.prometheus
        if prometheus is None or not plan.exemplars:
            return ()
        key = (*plan.exemplars, str(begin), str(end // (10 * times.SECOND)))
        try:
            return (
                await self._exemplars.get(
                    key, lambda: measure.exemplars(prometheus, plan.exemplars, begin, end), ttl_s=15.0
                )
            )[0]  # fmt: skip
        except SourceError:
            return ()

    # ------------------------------------------------------------------------------------------------------ memory

    def _note(self, alerts: Iterable[Alert], now_ns: UnixNanos) -> None:
        """Write down, beside the page, what has changed about the episodes seen."""
        news = []
        for alert in alerts:
            for episode in alert.episodes:
                # Whose true start is not known has no lasting key; what only Clew remembers is written already.
                if episode.fired_ns is None or episode.began_before or not episode.sources or not episode.confirmed:
                    continue
                mark = (
                    state(episode), episode.fired_ns, episode.ended_ns, episode.sources, episode.peak,
                    bool(episode.annotations), now_ns // _SEEN_EVERY if episode.ended_ns is None else 0,
                )  # fmt: skip
                key = alert.key_of(episode)
                if self._noted.get(key) != mark:
                    self._noted[key] = mark
                    news.append((alert, episode))
        if news:
            self._write(news)

    def _note_peak(self, alert: Alert, found: Measure, now_ns: UnixNanos) -> None:
        """The chart tells how far an episode went: kept, so that `fired before` can say it."""
        episode = alert.episode
        if episode.fired_ns is None or episode.began_before or not found.series:
            return
        until = episode.ended_ns or now_ns
        values = [
            sample.value
            for series in found.series
            for sample in series.samples
            if episode.fired_ns <= sample.time_ns <= until and sample.value == sample.value
        ]
        if not values:
            return
        below = found.threshold is not None and found.threshold.operator in ("<", "<=")
        farthest = min(values) if below else max(values)
        known = episode.peak
        if known is None or (farthest < known if below else farthest > known):
            self._write([(alert, msgspec.structs.replace(episode, peak=farthest))])

    def _write(self, news: list[tuple[Alert, Episode]]) -> None:
        task = asyncio.ensure_future(self._write_down(news))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_down(self, news: list[tuple[Alert, Episode]]) -> None:
        try:
            async with self._database.writing() as db:
                await store.keep(db, news, at=times.utc_now())
        except Exception:  # a page of alerts must not fail because its memory is full or locked; it is tried again
            for alert, episode in news:
                self._noted.pop(alert.key_of(episode), None)
            _log.exception("alert episodes were not kept")


async def _asked_anything(tempo: TempoClient, now_ns: UnixNanos) -> None:
    with contextlib.suppress(SourceError):  # its health remembers
        await tempo.search("{ }", now_ns - MINUTE, now_ns, limit=1, spans_per_set=1)


async def receive(db: AsyncSession, body: bytes, *, at: dt.datetime) -> int:
    """Take in one notification of Alertmanager; how many of its alerts were news.

    Errors: InvalidInput says what is wrong with it.
    """
    notification = decode_webhook(body)
    if len(notification.alerts) > 5_000:
        raise InvalidInput("The notification holds more than 5,000 alerts.")
    news = await store.receive(db, notification, at=at)
    if news:
        detail = {"news": news, "alerts": len(notification.alerts), "left_out": notification.truncated_alerts}
        await audit.record(db, Act.ALERT_RECEIVED, by=CLEW, on=("receiver", notification.receiver), at=at, detail=detail)
    return news


def as_firing(alert: Alert) -> FiringAlert:
    """The alert as a source would have told it: what a case keeps."""
    episode = alert.episode
    return FiringAlert(
        source=(episode.sources[0] if episode.sources else Source.PROMETHEUS).value,
        labels=alert.labels,
        annotations=episode.annotations or (alert.rule.annotations if alert.rule else {}),
        state=alert.state,
        started_ns=episode.started_ns,
        ended_ns=episode.ended_ns,
        value=episode.value,
        fingerprint=alert.fingerprint,
        generator_url=episode.generator_url,
        receivers=episode.receivers,
        silenced_by=episode.silenced_by,
    )


def as_history(alert: Alert) -> AlertHistory:
    """Its pending and firing stretches, as far as they are known."""
    return AlertHistory(alert.labels, measure.stretches(alert), alert.rule.interval_s if alert.rule else 0.0)


def _with_kept(known: Alert | None, remembered: list[Alert], now_ns: UnixNanos) -> Alert | None:
    """What the sources tell now, with older episodes that only Clew remembers."""
    past = remembered[0] if remembered else None
    if known is None or past is None:
        return known or past
    older = [e for e in past.episodes if not any(e.overlaps(other, now_ns) for other in known.episodes)]
    episodes = tuple(sorted((*older, *known.episodes), key=lambda e: e.started_ns))
    return msgspec.structs.replace(known, episodes=episodes)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
