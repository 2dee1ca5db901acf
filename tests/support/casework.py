"""A case filled with an incident, in a site that has no sources: traces are told by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

from support import case_samples as sample
from support.site import Site

from app.cases import alerts, preserve, service, store
from app.cases.evidence import Capture
from app.cases.service import Changes
from app.cases.store import Filter
from app.errors import NotFound
from app.investigation.opened import OpenTraces
from app.security.roles import Person
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval, TraceBytes
from app.times import SECOND, UnixNanos
from app.traces.model import Trace
from app.web.uploads import Uploads

NOTE = """Two names got through: `j.meyer` and `t.anand`. The one that worries me is E{last}:
**orders** said no and wrote anyway.

- same user agent on both addresses
- sessions revoked, see CASE-0001

@Jun.Park please check the third success that Prometheus counted."""


class Source:
    """Stands in for Tempo: knows the traces it was given."""

    def __init__(self, captures: list[Capture], down: Exception | None = None) -> None:
        self.known = {capture.trace.trace_id: capture for capture in captures}
        self.down = down

    async def fetch(self, trace_id: str) -> tuple[Trace, TraceBytes]:
        if self.down:
            raise self.down
        if trace_id not in self.known:
            raise NotFound("Tempo has no such trace.")
        return self.known[trace_id].trace, self.known[trace_id].received

    def judge(self, trace: Trace) -> Any:
        return self.known[trace.trace_id].verdict


def plug(site: Site, source: Source) -> None:
    """Let the site open its traces from the source."""
    site.app.state.traces = OpenTraces(source.fetch, source.judge)
    site.app.state.uploads = Uploads()


def stuffing(*, ended: bool = True) -> alerts.AlertSnapshot:
    """The alert that the log-ins set off."""
    labels = {"alertname": "AuthCredentialStuffing", "severity": "critical", "auth_client_subnet": "198.51.100.0/24"}
    fired, until = UnixNanos(sample.START - 2460 * SECOND), UnixNanos(sample.START - 420 * SECOND)
    firing = FiringAlert("prometheus", labels, {"summary": "31 names from 198.51.100.0/24 in 3 min"}, AlertState.RESOLVED,
                         UnixNanos(fired - 60 * SECOND), until if ended else None)  # fmt: skip
    stretches = (
        Interval(AlertState.PENDING, UnixNanos(fired - 60 * SECOND), fired),
        Interval(AlertState.FIRING, fired, until if ended else None),
    )
    return alerts.snapshot(firing, read_ns=UnixNanos(sample.START), history=AlertHistory(labels, stretches, 15.0))


async def fill(site: Site, person: Person, captures: list[Capture] | None = None) -> int:
    """A whole case: alert, traces, notes, an event by hand, a story chosen, checked once."""
    at = sample.NOW
    captures = sample.incident() if captures is None else captures
    async with site.database.writing() as db:
        case = await service.open_case(
            db, title="Credential stuffing with two takeovers, then order probing by mallory", severity="critical",
            summary="From 02:14 one address tried 70 names on `identity`. Two got in; one refused update was written.",
            tags=["stuffing", "orders"], by=person, at=at,
        )  # fmt: skip
        number = case.number
        await service.link_alert(db, number, stuffing(), by=person, at=at)
        for capture in captures:
            at += dt.timedelta(seconds=1)
            kept = await preserve.preserve_trace(db, number, capture, by=person, at=at)
        revoked = UnixNanos(sample.START + 700 * SECOND)
        await service.add_event(
            db, number, occurred_ns=revoked, title="Sessions revoked", detail="in Keycloak", by=person, at=at
        )
        await service.add_note(db, number, NOTE.format(last=kept.item.number), by=person, at=at)
        await service.add_note(db, number, "Same session on 203.0.113.50.", by=person, at=at)
        later = at + dt.timedelta(minutes=4)
        await service.edit_note(
            db, number, 2, "Same session on 203.0.113.50.\n\nSeen again at 03:01.", revision=1, by=person, at=later
        )
        await service.change_case(db, number, Changes(status="contained"), by=person, at=at)
        for shown in await store.events(db, number, Filter(), limit=500):
            told = shown.event
            chosen = told.kind in ("alert", "effect", "entered") or told.outcome in ("allowed", "bypassed")
            if chosen or (told.layer or "") == "policy_engine":
                await service.mark_event(db, number, shown.id, starred=True, by=person, at=at)
    return number
