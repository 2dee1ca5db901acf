"""The search page: fields that become TraceQL, the TraceQL as it is asked, and what was found, with verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from app.analysis.verdict import Outcome
from app.errors import InvalidInput
from app.investigation.asking import Ended, Fields, Window
from app.investigation.judgements import Judged, Unjudged
from app.sources.values import CompleteSearch, FoundTrace
from app.times import iso
from app.web import words
from app.web.formats import clock, day
from app.web.views.parts import Choice, Failure

PER_PAGE = 50

_LASTS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days"}
ENDED: tuple[tuple[str, str], ...] = (
    (Ended.ANY.value, "any"),
    (Ended.REFUSED.value, "a check refused"),
    (Ended.ALLOWED.value, "a check allowed"),
    (Ended.BROKE.value, "something broke"),
)


@dataclass(frozen=True)
class Sought:
    """What the address of a search asks for, as text.

    q:       the person's own TraceQL; then the fields are not used
    verdict, layer: only those of the found traces
    anyway:  send the TraceQL although Clew cannot read it
    """

    fields: Fields
    q: str = ""
    last: str = ""
    start: str = ""
    end: str = ""
    verdict: str = ""
    layer: str = ""
    page: int = 1
    anyway: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.q and self.fields.is_empty and not (self.last or self.start or self.end)

    def href(self, **changes: Any) -> str:
        pairs: dict[str, Any] = {
            "q": self.q, "last": self.last, "start": self.start, "end": self.end, "verdict": self.verdict,
            "layer": self.layer, "page": self.page if self.page > 1 else "", "anyway": "1" if self.anyway else "",
        }  # fmt: skip
        if not self.q:
            pairs |= {name: getattr(self.fields, name) for name in self.fields.__struct_fields__}
        given = {name: str(value) for name, value in (pairs | changes).items() if value}
        return "/search" + (f"?{urlencode(given)}" if given else "")


@dataclass(frozen=True)
class FoundRow:
    """waiting:     why there is no verdict, "" where there is one
    failed_open: allowed past a check that broke
    """

    trace_id: str
    href: str
    start_ns: int
    name: str
    duration_ns: int
    spans: int
    outcome: str
    layer: str
    reason: str
    principal: str
    partial: bool
    failed_open: bool
    waiting: str


@dataclass(frozen=True)
class Found:
    """The answer to a search.

    total:    traces found; whole: no more can be there
    missing:  stretches of time in which there are or may be more
    waiting:  found and not yet judged; looking again finds more of them judged
    """

    rows: tuple[FoundRow, ...]
    total: int
    shown: int
    first: int
    whole: bool
    slices: int
    missing: tuple[str, ...]
    waiting: int
    verdicts: tuple[Choice, ...]
    layers: tuple[Choice, ...]
    before: str
    after: str
    hidden: int
    unfiltered: str


@dataclass(frozen=True)
class SearchView:
    """traceql:  what is or would be asked
    problem:  why it was not asked; anyway is then the way to ask all the same, "" where there is none
    failure:  the source did not answer
    """

    sought: Sought
    traceql: str
    window_words: str = ""
    services: tuple[str, ...] = ()
    problem: str = ""
    problem_field: str = ""
    anyway: str = ""
    failure: Failure | None = None
    found: Found | None = None

    @property
    def lasts(self) -> tuple[tuple[str, str], ...]:
        return (*((value, f"the {word}") for value, word in _LASTS.items()), ("", "between two times"))

    @property
    def ended(self) -> tuple[tuple[str, str], ...]:
        return ENDED

    @property
    def last(self) -> str:
        """The choice of the time field."""
        return "" if self.sought.start or self.sought.end else self.sought.last or "24h"

    def refused(self, error: InvalidInput, anyway: str) -> SearchView:
        """The same page, with what is wrong told at its field."""
        return replace(self, problem=error.sentence, problem_field=error.field or "q", anyway=anyway)

    def wrong(self, field: str) -> str:
        return self.problem if self.problem_field == field else ""


def found_view(search: CompleteSearch, verdicts: Mapping[str, Judged | Unjudged], sought: Sought, alert: str = "") -> Found:
    """Results with what is known of each, filtered and paged as asked."""
    judged = {trace_id: one for trace_id, one in verdicts.items() if isinstance(one, Judged)}
    kept = [trace for trace in search.traces if _fits(judged.get(trace.trace_id), sought)]
    pages = max(1, -(-len(kept) // PER_PAGE))
    page = min(sought.page, pages)
    shown = kept[(page - 1) * PER_PAGE : page * PER_PAGE]
    return Found(
        rows=tuple(_row(trace, verdicts.get(trace.trace_id)) for trace in shown),
        total=len(search.traces),
        shown=len(kept),
        first=(page - 1) * PER_PAGE + 1,
        whole=search.complete,
        slices=len(search.slices),
        missing=tuple(_missing(part.start_ns, part.end_ns, part.problem) for part in search.missing[:5]),
        waiting=sum(trace.trace_id not in verdicts for trace in search.traces),
        verdicts=_facet(
            Counter(one.outcome.value for one in judged.values()), sought, "verdict",
            {outcome.value: word for outcome, word in words.OUTCOME.items()},
        ),
        layers=_facet(
            Counter(one.layer.value for one in judged.values() if one.layer), sought, "layer",
            {layer.value: word for layer, word in words.LAYER.items()},
        ),
        before=sought.href(page=page - 1 if page > 2 else "") if page > 1 else "",
        after=sought.href(page=page + 1) if page < pages else "",
        hidden=len(search.traces) - len(kept),
        unfiltered=sought.href(verdict="", layer="", page=""),
    )  # fmt: skip


def window_words(window: Window) -> str:
    """`in the last 24 hours`, or `from 21 Nov, 02:50:00 to 03:12:00 UTC`."""
    if window.last:
        return f"in the {_LASTS[window.last]}"
    start = f"{day(window.start_ns)}, {clock(window.start_ns)}"
    end = (
        clock(window.end_ns) if day(window.start_ns) == day(window.end_ns) else f"{day(window.end_ns)}, {clock(window.end_ns)}"
    )
    return f"from {start} to {end} UTC"


def _fits(one: Judged | None, sought: Sought) -> bool:
    """Whether it passes the filters by verdict; what is not judged yet passes none."""
    if not (sought.verdict or sought.layer):
        return True
    if one is None:
        return False
    return (not sought.verdict or one.outcome.value == sought.verdict) and (
        not sought.layer or (one.layer is not None and one.layer.value == sought.layer)
    )


def _row(trace: FoundTrace, one: Judged | Unjudged | None) -> FoundRow:
    known = one if isinstance(one, Judged) else None
    waiting = one.why if isinstance(one, Unjudged) else "" if known else "not judged yet"
    return FoundRow(
        trace_id=trace.trace_id,
        href=f"/traces/{trace.trace_id}",
        start_ns=known.start_ns if known else trace.start_ns,
        # Tempo puts words of its own where it has not seen the root.
        name=trace.root_name if trace.root_name and not trace.root_name.startswith("<root span") else "(root not seen)",
        duration_ns=known.duration_ns if known else trace.duration_ns,
        spans=known.spans if known else trace.span_count,
        outcome=known.outcome.value if known else "",
        layer=words.layer(known.layer) or known.service if known else trace.root_service,
        reason=known.reason if known else "",
        principal=known.principal if known else "",
        partial=known.partial if known else False,
        failed_open=known is not None and known.failed_open and known.outcome is Outcome.ALLOWED,
        waiting=waiting,
    )


def _facet(count: Counter[str], sought: Sought, name: str, word: Mapping[str, str]) -> tuple[Choice, ...]:
    total = sum(count.values()) or 1
    chosen = getattr(sought, name)
    return tuple(
        Choice(
            words=word.get(value, value),
            count=number,
            share=number / total,
            href=sought.href(**{name: "" if value == chosen else value, "page": ""}),
            on=value == chosen,
        )
        for value, number in count.most_common()
    )


def _missing(start_ns: int, end_ns: int, problem: str) -> str:
    return f"{clock(start_ns)} to {clock(end_ns)} on {day(start_ns)}: {problem}"


def as_json(search: CompleteSearch, verdicts: Mapping[str, Judged | Unjudged]) -> dict[str, Any]:
    """The answer of the API."""
    return {
        "query": search.query,
        "start": iso(search.start_ns),
        "end": iso(search.end_ns),
        "complete": search.complete,
        "missing": [
            {"start": iso(part.start_ns), "end": iso(part.end_ns), "why": part.problem} for part in search.missing
        ],
        "traces": [_fact(trace, verdicts.get(trace.trace_id)) for trace in search.traces],
    }  # fmt: skip


def _fact(trace: FoundTrace, one: Judged | Unjudged | None) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "trace_id": trace.trace_id,
        "start": iso(trace.start_ns),
        "duration_ns": trace.duration_ns,
        "root_service": trace.root_service,
        "root_name": trace.root_name,
        "verdict": None,
    }
    if isinstance(one, Judged):
        fact["verdict"] = {
            "outcome": one.outcome.value,
            "layer": one.layer.value if one.layer else None,
            "service": one.service,
            "reason": one.reason,
            "principal": one.principal,
            "client_address": one.client_address,
            "confidence": one.confidence.value,
            "sentence": one.sentence,
            "failed_open": one.failed_open,
        }
    elif isinstance(one, Unjudged):
        fact["unjudged"] = one.why
    return fact
