"""The traces behind an alert, as the page lists them: how complete, how they ended, and why each is there."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote, urlencode

from app.analysis.verdict import Outcome
from app.investigation import candidates
from app.investigation.behind import Behind
from app.investigation.candidates import Listed, Order
from app.investigation.completeness import BlindSpot
from app.investigation.pivots import Plan, Way
from app.times import UnixNanos
from app.web import words
from app.web.formats import count
from app.web.views.alert_words import failure, number_of
from app.web.views.parts import Failure

PAGE = 25
_MOST_REASONS = 8
_WAYS = {
    Way.ANY: "By labels, any outcome",
    Way.COUNTED: "What the rule counts",
    Way.RULE: "The rule’s own query",
    Way.TIME: "By time",
}
_ORDERS = {Order.UNUSUAL: "Unusual first", Order.NEWEST: "Newest", Order.SLOWEST: "Slowest"}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the address asks for. way: "" for the one that suits the alert."""

    way: str = ""
    order: Order = Order.UNUSUAL
    verdict: str = ""
    reason: str = ""
    page: int = 1

    def query(self, **changes: str | int | Order) -> str:
        asked = dataclasses.replace(self, page=1)
        asked = dataclasses.replace(asked, **changes)  # type: ignore[arg-type]
        pairs: list[tuple[str, str]] = [("by", asked.way), ("verdict", asked.verdict), ("reason", asked.reason)]
        pairs += [("order", asked.order.value)] if asked.order is not Order.UNUSUAL else []
        pairs += [("page", str(asked.page))] if asked.page > 1 else []
        return urlencode([(name, value) for name, value in pairs if value])


@dataclasses.dataclass(frozen=True)
class Chip:
    """A verdict or reason with its count; `href` shows only those, or all again where it is on."""

    word: str
    count: int
    href: str
    on: bool


@dataclasses.dataclass(frozen=True)
class TraceRow:
    """One candidate. outcome "" where there is no verdict: `no_verdict` says why."""

    href: str
    trace_id: str
    start_ns: UnixNanos
    duration_ns: int
    name: str
    outcome: str
    layer: str
    reason: str
    principal: str
    address: str
    sentence: str
    no_verdict: str
    why: str
    unusual: bool
    partial: bool
    failed_open: bool


@dataclasses.dataclass(frozen=True)
class TracesView:
    """complete:  (found, counted or None, words, whole), None where the search failed or there was nothing to search by
    missing:   sentences about what is not in the list
    blind:     what Prometheus counted and no trace shows, "" where nothing is known of it
    waiting:   verdicts still to come; poll_href then shows more of them
    empty:     title and words where nothing is listed
    pager:     "1 to 25 of 1,243"
    walk:      ids of all that pass the filter, in order: the traces' pages lead from one to the next
    """

    key: str
    ways: tuple[tuple[str, str, bool], ...]
    orders: tuple[tuple[str, str, bool], ...]
    window_start_ns: UnixNanos
    window_end_ns: UnixNanos
    window_words: str
    complete: tuple[int, int | None, str, bool] | None
    missing: tuple[str, ...]
    blind: str
    blind_strong: str
    query: str
    verdicts: tuple[Chip, ...]
    reasons: tuple[Chip, ...]
    rows: tuple[TraceRow, ...]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    empty: tuple[str, str] | None
    waiting: int
    poll_href: str
    here: str
    pager: str
    walk: tuple[str, ...]
    page_size: int
    newer_href: str
    older_href: str
    search_href: str


def traces_view(key: str, plan: Plan, found: Behind, asked: Asked) -> TracesView:
    base = f"/alerts/{key}/traces"

    def href(**changes: str | int | Order) -> str:
        query = asked.query(**changes)
        return f"{base}?{query}" if query else base

    listed = candidates.listed(found.candidates, asked.order, layer_word=words.the_layer)
    shown = [one for one in listed if candidates.passes(one.candidate, asked.verdict, asked.reason)]
    pages = max(1, -(-len(shown) // PAGE))
    page = min(asked.page, pages)
    first = (page - 1) * PAGE
    tally = candidates.tally(found.candidates)
    used = found.search.way if found.search else None
    whole = found.completeness
    blind, strong = _blind(found.blind)
    here = href(page=page)
    return TracesView(
        key=key,
        ways=tuple((_WAYS[search.way], href(way=search.way.value), search.way is used) for search in plan.searches),
        orders=tuple((word, href(order=order), order is asked.order) for order, word in _ORDERS.items()),
        window_start_ns=found.window.start_ns,
        window_end_ns=found.window.end_ns,
        window_words=found.window.why,
        complete=(whole.found, whole.counted, whole.words, whole.whole) if whole else None,
        missing=whole.missing if whole else (),
        blind=blind,
        blind_strong=strong,
        query=found.search.query if found.search else "",
        verdicts=tuple(
            Chip(outcome.value, n, href(verdict="" if asked.verdict == outcome else outcome.value), asked.verdict == outcome)
            for outcome, n in tally.outcomes
        ),
        reasons=tuple(
            Chip(reason, n, href(reason="" if asked.reason == reason else reason), asked.reason == reason)
            for reason, n in tally.reasons[:_MOST_REASONS]
        ),
        rows=tuple(_row(one, key) for one in shown[first : first + PAGE]),
        notes=tuple(_notes(plan, found, tally)),
        failures=tuple(failure(trouble, here) for trouble in found.troubles),
        empty=_empty(found, shown, listed),
        waiting=found.waiting,
        poll_href=here if found.waiting else "",
        here=here,
        pager=f"{count(first + 1)} to {count(min(first + PAGE, len(shown)))} of {count(len(shown))}" if shown else "",
        walk=tuple(one.candidate.trace_id for one in shown),
        page_size=PAGE,
        newer_href=href(page=page - 1) if page > 1 else "",
        older_href=href(page=page + 1) if page < pages else "",
        search_href=_search_href(found),
    )


def _row(one: Listed, key: str) -> TraceRow:
    candidate, verdict = one.candidate, one.candidate.judged
    unjudged = candidate.unjudged
    return TraceRow(
        href=f"/traces/{candidate.trace_id}?alert={quote(key)}",
        trace_id=candidate.trace_id,
        # The index knows only fragments of a trace; the fetched trace knows its start.
        start_ns=UnixNanos(verdict.start_ns) if verdict else candidate.start_ns,
        duration_ns=verdict.duration_ns if verdict else candidate.duration_ns,
        name=candidate.name,
        outcome=verdict.outcome.value if verdict else "",
        layer=words.layer(verdict.layer) if verdict else "",
        reason=(verdict.reason or verdict.reason_code) if verdict else "",
        principal=verdict.principal if verdict else "",
        address=verdict.client_address if verdict else "",
        sentence=verdict.sentence if verdict else "",
        no_verdict=unjudged.why if unjudged else "",
        why=one.why,
        unusual=one.unusual,
        partial=verdict.partial if verdict else False,
        failed_open=verdict is not None and verdict.failed_open and verdict.outcome is Outcome.ALLOWED,
    )


def _blind(blind: BlindSpot | None) -> tuple[str, str]:
    """Prometheus' count beside the traces'; the part in bold is what no trace shows."""
    if blind is None or not (blind.allowed or blind.refused):
        return "", ""
    said = f"Prometheus counted {count(blind.allowed)} allowed and {count(blind.refused)} refused in this window."
    unseen = []
    if blind.unseen_allowed:
        unseen.append(number_of(blind.unseen_allowed, "success", "successes"))
    if blind.unseen_refused:
        unseen.append(number_of(blind.unseen_refused, "refusal"))
    if not unseen:
        return said, ""
    many = blind.unseen_allowed + blind.unseen_refused != 1
    return said, f"{' and '.join(unseen)} {'have' if many else 'has'} no trace here: sampled away, or at the window’s edge."


def _notes(plan: Plan, found: Behind, tally: candidates.Tally) -> list[str]:
    notes = []
    if found.fell_back:
        notes.append("No span matches the alert’s labels; these are the decisions of the same time.")
    if found.beyond:
        judged = len(found.candidates) - found.beyond
        notes.append(f"{count(judged)} of them are judged; {count(found.beyond)} more are listed without a verdict.")
    if tally.unjudged:
        notes.append(f"{number_of(tally.unjudged, 'trace')} could not be judged; each row says why.")
    if found.storage is False:
        notes.append("Prometheus keeps no exemplars (--enable-feature=exemplar-storage).")
    return [*notes, *plan.notes]


def _empty(found: Behind, shown: list[Listed], listed: list[Listed]) -> tuple[str, str] | None:
    if shown:
        return None
    if listed:
        return "No trace matches this filter", f"{number_of(len(listed), 'trace')} are hidden by it."
    if found.troubles:
        return None
    if found.search is None:
        return "Nothing to search by", "This alert names no attribute of a request."
    if found.completeness is None:
        return "No traces to ask", "Tempo is not set up: set CLEW_TEMPO__URL and start Clew again."
    if found.completeness.counted:
        return "No trace was found", "TraceQL metrics count some: they may not be searchable yet."
    return "No trace is behind it", "Tempo answered and has no span that matches in this window."


def _search_href(found: Behind) -> str:
    if found.search is None:
        return ""
    asked = {"q": found.search.query, "from": str(found.window.start_ns // 10**9), "to": str(found.window.end_ns // 10**9)}
    return f"/search?{urlencode(asked)}"
