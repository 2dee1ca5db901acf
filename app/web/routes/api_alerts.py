"""Alerts over the JSON API: the list, one alert, and the traces behind it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from app.investigation import candidates, summary
from app.investigation.alerts import Alert, Episode, Source
from app.investigation.behind import Behind
from app.investigation.board import Trouble
from app.investigation.candidates import Listed
from app.security.roles import Permission
from app.times import iso
from app.web import words
from app.web.deps import Now, needs
from app.web.routes.alerts import AskedFor, TheInvestigation, TracesAskedFor
from app.web.routes.api import FAILURES
from app.web.views.alert_words import state_of
from app.web.views.alerts import matching
from app.web.views.alerts_asked import WINDOWS

api = APIRouter(prefix="/api/v1", tags=["alerts"], responses=FAILURES)

_DEADLINE_S = 20.0
_MOST = 1_000

Key = Annotated[str, Path(max_length=40, description="As `key` of an alert")]


class EpisodeOut(BaseModel):
    """One time that an alert was pending or firing. Times are ISO 8601 in UTC."""

    key: str
    started: str = Field(description="Start of pending where a source knows it, else of firing")
    fired: str | None
    ended: str | None
    value: float | None = Field(description="The measured value as last told")
    peak: float | None = Field(description="The farthest value known")
    sources: list[Source]
    interrupted: bool = Field(description="The evaluator fell silent during it")
    confirmed: bool = Field(description="False where its sources do not answer now: it may have ended")


class AlertOut(BaseModel):
    """One alert instance at its latest episode, or at the one asked for."""

    key: str
    fingerprint: str
    name: str
    severity: str
    state: str = Field(description="firing, pending, ended or muted")
    summary: str
    labels: dict[str, str]
    annotations: dict[str, str]
    episode: EpisodeOut
    episodes: int = Field(description="How many are known")
    expression: str = Field(description="The rule's expression as loaded now; empty where it is not known")


class TroubleOut(BaseModel):
    """A source that did not do its part."""

    source: str
    message: str
    missing: str

    @classmethod
    def of(cls, trouble: Trouble) -> TroubleOut:
        return cls(source=trouble.source, message=trouble.sentence, missing=trouble.missing)


class AlertsOut(BaseModel):
    """whole is false where a source failed: absence then proves nothing."""

    alerts: list[AlertOut]
    total: int
    whole: bool
    troubles: list[TroubleOut]


class EntityOut(BaseModel):
    kind: str
    value: str
    label: str


class AlertDetailOut(AlertOut):
    before: list[EpisodeOut] = Field(description="All known episodes, the newest first")
    entities: list[EntityOut]
    runbook_url: str
    troubles: list[TroubleOut]


class CandidateOut(BaseModel):
    """One trace that may be behind the alert; outcome is null where there is no verdict."""

    trace_id: str
    started: str
    duration_ms: float
    outcome: str | None
    layer: str | None
    service: str | None
    reason: str | None
    principal: str | None
    client_address: str | None
    sentence: str | None
    exemplar: bool
    why: str = Field(description="Why it is listed, in this place")
    no_verdict: str | None


class CompletenessOut(BaseModel):
    """Matching spans: found by search, and counted independently by TraceQL metrics (null where that could not be had)."""

    found: int
    counted: int | None
    whole: bool
    words: str
    missing: list[str]


class BlindSpotOut(BaseModel):
    """What Prometheus counted in the window, and what the traces hold of it."""

    allowed: int
    refused: int
    traced_allowed: int
    traced_refused: int


class TracesOut(BaseModel):
    traces: list[CandidateOut]
    total: int
    page: int
    pages: int
    waiting: int = Field(description="Verdicts still to come: ask again")
    outcomes: dict[str, int]
    reasons: dict[str, int]
    query: str = Field(description="TraceQL that was searched for")
    found_by: str = Field(description="any, counted, rule or time")
    window_start: str
    window_end: str
    completeness: CompletenessOut | None
    blind_spot: BlindSpotOut | None
    troubles: list[TroubleOut]
    notes: list[str]


@api.get("/alerts", dependencies=[needs(Permission.READ)])
async def list_alerts(asked: AskedFor, investigation: TheInvestigation, now: Now) -> AlertsOut:
    """Alerts of the last hour, day or week, from all sources; the filters are those of the page."""
    board = await investigation.board(WINDOWS[asked.window][0], now_ns=now)
    found = matching(board, asked, investigation.labels)
    return AlertsOut(
        alerts=[_alert(alert) for alert in found[:_MOST]],
        total=len(found),
        whole=board.whole,
        troubles=[TroubleOut.of(trouble) for trouble in board.troubles],
    )


@api.get("/alerts/{key}", dependencies=[needs(Permission.READ)])
async def get_alert(key: Key, investigation: TheInvestigation, now: Now) -> AlertDetailOut:
    """One alert with its episodes and what its labels name."""
    seen = await investigation.alert(key, now_ns=now)
    alert = seen.alert
    told = summary.annotation(alert, "runbook_url")
    return AlertDetailOut(
        **_alert(alert).model_dump(),
        before=[_episode(alert, episode) for episode in seen.before],
        entities=[EntityOut(kind=e.kind, value=e.value, label=e.label) for e in seen.plan.entities],
        runbook_url=told.text if told else "",
        troubles=[TroubleOut.of(trouble) for trouble in seen.board.troubles],
    )


@api.get("/alerts/{key}/traces", dependencies=[needs(Permission.READ)])
async def get_traces(
    key: Key,
    asked: TracesAskedFor,
    investigation: TheInvestigation,
    now: Now,
    per_page: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TracesOut:
    """The traces behind an alert, judged, with how complete the list is."""
    seen = await investigation.alert(key, now_ns=now)
    found = await investigation.behind(seen, asked.way or None, now_ns=now, deadline_s=_DEADLINE_S)
    listed = candidates.listed(found.candidates, asked.order, layer_word=words.the_layer)
    shown = [one for one in listed if candidates.passes(one.candidate, asked.verdict, asked.reason)]
    pages = max(1, -(-len(shown) // per_page))
    page = min(asked.page, pages)
    return _traces(found, shown, page, pages, per_page, seen.plan.notes)


def _traces(found: Behind, shown: list[Listed], page: int, pages: int, per_page: int, notes: tuple[str, ...]) -> TracesOut:
    tally = candidates.tally(found.candidates)
    whole, blind = found.completeness, found.blind
    return TracesOut(
        traces=[_candidate(one) for one in shown[(page - 1) * per_page : page * per_page]],
        total=len(shown),
        page=page,
        pages=pages,
        waiting=found.waiting,
        outcomes={outcome.value: n for outcome, n in tally.outcomes},
        reasons=dict(tally.reasons),
        query=found.search.query if found.search else "",
        found_by=found.search.way.value if found.search else "",
        window_start=iso(found.window.start_ns, digits=3),
        window_end=iso(found.window.end_ns, digits=3),
        completeness=CompletenessOut(
            found=whole.found, counted=whole.counted, whole=whole.whole, words=whole.words, missing=list(whole.missing)
        )
        if whole
        else None,
        blind_spot=BlindSpotOut(
            allowed=blind.allowed,
            refused=blind.refused,
            traced_allowed=blind.traced_allowed,
            traced_refused=blind.traced_refused,
        )
        if blind
        else None,
        troubles=[TroubleOut.of(trouble) for trouble in found.troubles],
        notes=list(notes),
    )


def _alert(alert: Alert) -> AlertOut:
    return AlertOut(
        key=alert.key,
        fingerprint=alert.fingerprint,
        name=alert.name,
        severity=alert.severity.value,
        state=state_of(alert),
        summary=summary.summary(alert).text,
        labels=alert.labels,
        annotations=alert.episode.annotations,
        episode=_episode(alert, alert.episode),
        episodes=len(alert.episodes),
        expression=alert.rule.query if alert.rule else "",
    )


def _episode(alert: Alert, episode: Episode) -> EpisodeOut:
    return EpisodeOut(
        key=alert.key_of(episode),
        started=iso(episode.started_ns, digits=3),
        fired=iso(episode.fired_ns, digits=3) if episode.fired_ns is not None else None,
        ended=iso(episode.ended_ns, digits=3) if episode.ended_ns is not None else None,
        value=_finite(episode.value),
        peak=_finite(episode.peak),
        sources=list(episode.sources),
        interrupted=episode.interrupted,
        confirmed=episode.confirmed,
    )


def _candidate(one: Listed) -> CandidateOut:
    candidate, verdict = one.candidate, one.candidate.judged
    return CandidateOut(
        trace_id=candidate.trace_id,
        started=iso(verdict.start_ns if verdict else candidate.start_ns, digits=9),
        duration_ms=(verdict.duration_ns if verdict else candidate.duration_ns) / 1e6,
        outcome=verdict.outcome.value if verdict else None,
        layer=verdict.layer.value if verdict and verdict.layer else None,
        service=(verdict.service or None) if verdict else None,
        reason=(verdict.reason or verdict.reason_code or None) if verdict else None,
        principal=(verdict.principal or None) if verdict else None,
        client_address=(verdict.client_address or None) if verdict else None,
        sentence=(verdict.sentence or None) if verdict else None,
        exemplar=candidate.exemplar,
        why=one.why,
        no_verdict=candidate.unjudged.why if candidate.unjudged else None,
    )


def _finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and value - value == 0 else None
