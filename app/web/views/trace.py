"""The trace page: the judgement first, then the path, findings and effects, lanes and waterfall, one span, the data itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import quote, urlencode

from app.analysis.verdict import Decision
from app.errors import NotFound, SourceError
from app.investigation.opened import Opened
from app.settings import GrafanaSettings
from app.sources.values import SourceHealth
from app.times import MILLISECOND, MINUTE, format_duration
from app.traces.model import Node, Trace
from app.web.uploads import Origin
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.axis import Axis, Tick
from app.web.views.findings import DefectRow, Effects, FindingRow, defects, effects, findings
from app.web.views.hops import Hops
from app.web.views.judgement import Judgement, judgement
from app.web.views.lanes import LanesView, lanes
from app.web.views.parts import Failure
from app.web.views.path import PathView, path
from app.web.views.reading import Reading
from app.web.views.rows import Row
from app.web.views.span import PANEL, SpanView, sensitive, span_view
from app.web.views.waterfall import Waterfall, services, unfolded, waterfall

_SERVICES = 60  # choices of the service filter
_LONGEST_SERVICE = 300
_STATED = 20_000  # spans from which on only the verdict's own decisions are shown: reading all of them takes seconds

Stated: TypeAlias = Callable[[Trace], Mapping[str, Decision]]


@dataclass(frozen=True)
class Neighbours:
    """The traces before and after this one in the list that led here. label: `Trace 14 of 318`."""

    label: str = ""
    title: str = ""
    href: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class KeptIn:
    """A case that this trace belongs to. evidence: the item that holds its bytes, "" where it was only named.

    href: the item, or the case; trace_href: this page made from the kept bytes
    """

    case: str
    evidence: str
    href: str
    trace_href: str = ""


@dataclass(frozen=True)
class Service:
    name: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class DataView:
    """What the page is made of: where it came from, when, how much, and what was wrong with it."""

    received_ns: int
    size: int
    media_type: str
    sha256: str
    url: str
    tenant: str
    defects: tuple[DefectRow, ...]


@dataclass(frozen=True)
class TraceView:
    """name:     what the client asked for: `POST /api/orders`
    outside:  spans that lie beyond the axis
    services: the choices of the filter
    grafana:  this trace in Grafana, "" where none is configured
    stored:   the trace can be fetched again by its id; an uploaded one cannot
    kept:     the cases it belongs to
    origin:   where it comes from, if not from its source: evidence, or an upload
    """

    asked: Asked
    trace_id: str
    name: str
    start_ns: int
    duration_ns: int
    spans: int
    service_count: int
    judgement: Judgement
    path: PathView | None
    findings: tuple[FindingRow, ...]
    finding_count: int
    effects: Effects
    lanes: LanesView
    ticks: tuple[Tick, ...]
    outside: int
    refused_label: str
    waterfall: Waterfall
    services: tuple[Service, ...]
    more_services: int
    span: SpanView | None
    data: DataView
    neighbours: Neighbours
    grafana: str
    stored: bool
    kept: tuple[KeptIn, ...]
    origin: Origin | None

    @property
    def tone(self) -> str:
        return self.waterfall.tone


class Looked:
    """A trace looked at: its reading, hops, clock and lanes, worked out once and kept with the trace."""

    def __init__(self, opened: Opened, stated: Stated | None = None) -> None:
        self.opened = opened
        of_spans = stated(opened.trace) if stated is not None and len(opened.trace) <= _STATED else {}
        self.reading = Reading(opened.trace, opened.verdict, of_spans)
        self.hops = Hops(self.reading)
        self.axis = Axis.of(opened.trace)
        self.services = services(opened.trace)
        self.end_ns = opened.trace.end_ns
        self.lanes = lanes(self.reading, self.hops, self.axis)

    @classmethod
    def at(cls, opened: Opened, stated: Stated | None = None) -> Looked:
        """stated: what single spans say they decided, for the checks that the verdict does not name."""
        return opened.derived("looked", lambda: cls(opened, stated))

    def chosen(self, asked: Asked) -> Node | None:
        """The span to show in the panel: the one asked for, else the one the verdict rests on."""
        by_id = self.opened.trace.by_id
        return by_id.get(asked.span) or by_id.get(self.reading.focus)

    def rows(self, asked: Asked, start: int, end: int) -> tuple[Row, ...]:
        """A fold, unfolded."""
        return unfolded(self.reading, self.axis, asked, start, end)


def trace_view(
    looked: Looked,
    asked: Asked,
    *,
    grafana: GrafanaSettings,
    neighbours: Neighbours,
    kept: tuple[KeptIn, ...] = (),
    origin: Origin | None = None,
    addresses: bool = False,
    rules: Mapping[str, bool] | None = None,
) -> TraceView:
    """The page of one trace.

    addresses: client addresses count as personal data.
    rules:     the ids of the rules in force, and whether each is one of the house's own
    """
    opened, reading = looked.opened, looked.reading
    trace, received = opened.trace, opened.received
    node = looked.chosen(asked)
    every = looked.services
    # A name too long for an address cannot be filtered by.
    choices = [(name, count) for name, count in every if len(name) <= _LONGEST_SERVICE][:_SERVICES]
    fall = waterfall(reading, looked.axis, asked)
    at_ns = reading.refused_ns
    refused = f"{reading.decided} at {format_duration(at_ns - looked.axis.start_ns)}" if at_ns is not None else ""
    return TraceView(
        asked=asked,
        trace_id=trace.trace_id,
        name=naming.asked(reading.entry.span) if reading.entry is not None else "(no spans)",
        start_ns=reading.start_ns,
        duration_ns=max(0, looked.end_ns - reading.start_ns),
        spans=len(trace),
        service_count=len(every),
        judgement=judgement(reading, asked, rules),
        path=path(reading, looked.hops, asked),
        findings=findings(reading, asked),
        finding_count=len(opened.verdict.findings),
        effects=effects(reading, asked),
        lanes=looked.lanes,
        ticks=looked.axis.ticks(),
        outside=looked.axis.outside,
        refused_label=refused,
        waterfall=fall,
        services=tuple(Service(name, count, name == asked.service) for name, count in choices),
        more_services=len(every) - len(choices),
        span=span_view(reading, node, asked, sensitive(node, addresses=addresses), PANEL) if node is not None else None,
        data=DataView(
            received_ns=received.received_ns,
            size=len(received.body),
            media_type=received.media_type,
            sha256=opened.sha256,
            url=received.url,
            tenant=received.tenant,
            defects=defects(reading),
        ),
        neighbours=neighbours,
        grafana=explore_href(grafana, trace.trace_id, reading.start_ns, looked.end_ns),
        stored=not asked.base,
        kept=kept,
        origin=origin,
    )


@dataclass(frozen=True)
class RowsView:
    """A part of the waterfall, for htmx."""

    asked: Asked
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class SpanPageView:
    """One span, as the panel or as a page of its own."""

    asked: Asked
    span: SpanView


@dataclass(frozen=True)
class UploadView:
    """The form to upload a trace. wrong: why what was sent is no trace; text: what was pasted, to be mended."""

    text: str = ""
    wrong: str = ""


@dataclass(frozen=True)
class AbsentView:
    """A trace that is not there to be shown: because nobody has it, or because the source failed."""

    asked: Asked
    title: str
    words: str
    failure: Failure | None = None
    kept: tuple[KeptIn, ...] = ()

    @classmethod
    def gone(cls, asked: Asked, error: NotFound, kept: tuple[KeptIn, ...] = ()) -> AbsentView:
        if asked.base:
            return cls(asked, "This upload is no longer here", error.sentence)
        words = (
            "Tempo answered: it has no such trace. It may be older than what Tempo keeps, never sampled, or so new that it is "
            "not yet there."
        )
        return cls(asked, f"Tempo has no trace {asked.trace_id[:8]}…", words, kept=kept)

    @classmethod
    def failed(cls, asked: Asked, error: SourceError, health: SourceHealth | None, kept: tuple[KeptIn, ...] = ()) -> AbsentView:
        failure = Failure.of(error, retry_href=asked.href())
        # A client that pauses after several failures says since when itself.
        if health is not None and health.failing_since_ns is not None and "since" not in error.sentence:
            failure = replace(failure, since_ns=health.failing_since_ns)
        return cls(asked, f"Trace {asked.trace_id[:8]}… could not be read", "", failure, kept)


def explore_href(grafana: GrafanaSettings, trace_id: str, start_ns: int, end_ns: int) -> str:
    """The trace in Grafana's Explore, with a little time on both sides; "" where no Grafana is configured."""
    if not grafana.url:
        return ""
    pane = {
        "datasource": grafana.tempo_uid,
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": grafana.tempo_uid},
                "queryType": "traceql",
                "query": trace_id,
            }
        ],
        "range": {"from": str((start_ns - MINUTE) // MILLISECOND), "to": str((end_ns + MINUTE) // MILLISECOND)},
    }
    panes = json.dumps({"clew": pane}, separators=(",", ":"))
    query = urlencode({"schemaVersion": 1, "panes": panes, "orgId": grafana.org_id}, quote_via=quote)
    return f"{grafana.url}/explore?{query}"
