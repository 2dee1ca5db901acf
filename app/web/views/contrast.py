"""The page on which a refused request stands beside one that was let through."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from app.analysis.contrast import Contrast, Said, Step
from app.analysis.contrast import Request as Side
from app.analysis.verdict import Outcome, Verdict
from app.errors import SourceError
from app.investigation.siblings import Sibling, Siblings
from app.times import format_duration
from app.web.views.asked import Asked
from app.web.views.parts import Failure

_SHOWN = 8
_COMPARABLE = (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED, Outcome.ERROR, Outcome.INCONCLUSIVE)
_WHERE = {"check": "the check itself", "hop": "its hop", "before": "an earlier check", "entry": "the entry",
          "service": "the service that decided"}  # fmt: skip


def offered(outcome: Outcome) -> bool:
    """Whether there is anything about such a request to compare."""
    return outcome in _COMPARABLE


@dataclass(frozen=True)
class Candidate:
    """A request that was let through. apart: `1.2 s later`. chosen: it is the one compared with."""

    href: str
    trace_id: str
    outcome: str
    principal: str
    apart: str
    chosen: bool


@dataclass(frozen=True)
class Row:
    """One attribute that differs. `note` says what is special about it, "" where nothing is."""

    attribute: str
    denied: str | None
    allowed: str | None
    where: str
    note: str
    by_client: bool
    is_near: bool


@dataclass(frozen=True)
class Check:
    """A check of both requests with what it said in each, and the links to its spans."""

    service: str
    name: str
    denied: Said
    allowed: Said | None
    denied_href: str
    allowed_href: str


@dataclass(frozen=True)
class Only:
    """A step that one request alone has."""

    service: str
    name: str
    href: str
    is_check: bool


@dataclass(frozen=True)
class Compared:
    """The comparison itself. `sentence` is the answer, also where there is nothing to compare."""

    sentence: str
    comparable: bool
    denied: Side
    allowed: Side
    denied_href: str
    allowed_href: str
    parting: Check | None
    parting_is_check: bool
    met_in: str
    passed: tuple[Check, ...]
    rows: tuple[Row, ...]
    answers: tuple[Row, ...]
    only_denied: tuple[Only, ...]
    only_allowed: tuple[Only, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class ContrastView:
    """compared:   None where there is nothing to compare with yet
    candidates: the requests found, the best first; `searched` says where and how many
    failure:    Tempo did not answer
    """

    asked: Asked
    trace_id: str
    sentence: str
    compared: Compared | None
    candidates: tuple[Candidate, ...]
    searched: str
    query: str
    failure: Failure | None
    full_href: str


def contrast_view(
    asked: Asked,
    verdict: Verdict,
    *,
    against: str,
    found: Contrast | None,
    siblings: Siblings | None,
    error: SourceError | None,
) -> ContrastView:
    """against: the trace compared with; siblings: None where none were looked for."""
    listed = siblings.found[:_SHOWN] if siblings is not None else ()
    return ContrastView(
        asked=asked,
        trace_id=verdict.trace_id,
        sentence=verdict.sentence,
        compared=_compared(asked, found, against) if found is not None else None,
        candidates=tuple(_candidate(asked, one, against) for one in listed),
        searched=_searched(siblings) if siblings is not None else "",
        query=siblings.query if siblings is not None else "",
        failure=Failure.of(error, retry_href=asked.below("contrast")) if error is not None else None,
        full_href=_href(asked, against) if against else asked.below("contrast"),
    )


def _href(asked: Asked, against: str) -> str:
    pairs = [("against", against)] + ([("alert", asked.alert)] if asked.alert else [])
    return f"{asked.path}/contrast?{urlencode(pairs)}"


def _candidate(asked: Asked, one: Sibling, against: str) -> Candidate:
    words = f"{format_duration(abs(one.apart_ns))} {'later' if one.apart_ns >= 0 else 'earlier'}"
    return Candidate(
        _href(asked, one.trace_id),
        one.trace_id,
        one.verdict.outcome.value,
        one.verdict.principal,
        words,
        one.trace_id == against,
    )


def _searched(siblings: Siblings) -> str:
    """Where was looked, and how many were found, judged and fit."""
    if not siblings.query:
        return "The entry of this trace says nothing by which others like it could be looked for."
    around = f"within {format_duration(siblings.reach_ns)} before and after"
    matched = f"{siblings.matched}{' or more' if siblings.more else ''}"
    noun = "trace" if siblings.matched == 1 else "traces"
    if not siblings.matched:
        return f"Tempo has no other request of this route that was answered well {around}."
    count = len(siblings.found)
    fit = "none was let through" if not count else f"{count} {'was' if count == 1 else 'were'} let through"
    return f"{matched} {noun} of this route {around}; {siblings.judged} judged, {fit}."


def _compared(asked: Asked, found: Contrast, against: str) -> Compared:
    def ours(span_id: str) -> str:
        return asked.href(span=span_id) if span_id else ""

    def theirs(span_id: str) -> str:
        return Asked(against, span=span_id).href() if span_id else ""

    def check(service: str, name: str, denied: Said, allowed: Said | None) -> Check:
        there = theirs(allowed.span_id) if allowed is not None else ""
        return Check(service, name, denied, allowed, ours(denied.span_id), there)

    parting = found.parting
    rows = tuple(
        Row(d.attribute, d.denied, d.allowed, _WHERE[d.where], _note(d.lacks, d.beyond), d.by_client, d.telling <= 1)
        for d in found.differences
    )
    said = {d.attribute for d in found.differences if d.is_answer}
    return Compared(
        sentence=found.sentence,
        comparable=found.comparable,
        denied=found.denied,
        allowed=found.allowed,
        denied_href=asked.href(),
        allowed_href=Asked(against).href(),
        parting=check(parting.service, parting.name, parting.denied, parting.allowed) if parting is not None else None,
        parting_is_check=parting is not None and parting.is_check,
        met_in=parting.met_in if parting is not None else "",
        passed=tuple(check(one.service, one.name, one.denied, one.allowed) for one in found.passed),
        rows=tuple(row for row in rows if row.attribute not in said),
        answers=tuple(row for row in rows if row.attribute in said),
        only_denied=_only(found.only_denied, ours),
        only_allowed=_only(found.only_allowed, theirs),
        caveats=found.caveats,
    )


def _note(lacks: tuple[str, ...], beyond: tuple[str, ...]) -> str:
    notes = []
    if lacks:
        notes.append(f"refused lacks {', '.join(lacks[:6])}")
    if beyond:
        notes.append(f"refused alone has {', '.join(beyond[:6])}")
    return "; ".join(notes)


def _only(steps: tuple[Step, ...], href: object) -> tuple[Only, ...]:
    assert callable(href)
    return tuple(Only(step.service, step.name, href(step.span_id), step.is_check) for step in steps)
