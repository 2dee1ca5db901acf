"""Requests like a refused one that were let through: what is asked, and which of those found is the best to compare with."""

import pytest
from support.draw import draw, spans_of

from app.analysis.examine import examine
from app.analysis.verdict import Confidence, Outcome
from app.investigation import siblings
from app.investigation.judgements import Judged, Unjudged
from app.sources.values import FoundTrace, SearchResult
from app.times import MINUTE, UnixNanos
from app.traceql.fetch import TraceSpans
from app.traceql.match import Matcher
from app.traceql.parse import parse
from app.traceql.write import write

CHECK = "\n  shop: auth.permission_check  auth=refused auth.subject=anna because=no"
DENIED = f"shop: GET /orders/17  403 http.route=/orders/{{id}}{CHECK}"


def asked(text: str) -> str:
    trace = draw(text)
    return write(siblings.question(siblings.entry_of(trace, examine(trace)).span))


def finds(query: str, text: str) -> bool:
    return bool(Matcher(parse(query)).match(TraceSpans("ab" * 16, spans_of(text))))


@pytest.mark.parametrize(
    ("denied", "other", "found"),
    [
        (DENIED, "shop: GET /orders/99  200 http.route=/orders/{id}", True),
        (DENIED, "shop: GET /orders/99  403 http.route=/orders/{id}", False),
        (DENIED, "shop: GET /orders/99  500 http.route=/orders/{id}", False),
        (DENIED, "shop: PUT /orders/99  200 http.route=/orders/{id}", False),
        (DENIED, "cart: GET /orders/99  200 http.route=/orders/{id}", False),
        (DENIED, "shop: GET /carts/99  200 http.route=/carts/{id}", False),
        # Refused before routing: no template, so the path with its id left open.
        (f"shop: GET /orders/17  401{CHECK}", "shop: GET /orders/99  200 http.route=/orders/{id}", True),
        (f"shop: GET /orders/17  401{CHECK}", "shop: GET /orders/99/items  200", False),
        (f"shop: GET /v1/o.x+y  401{CHECK}", "shop: GET /v1/oaxxy  200", False),
        (f"shop: = shop.Orders/Get  7{CHECK}", "shop: = shop.Orders/Get  0", True),
        (f"shop: = shop.Orders/Get  7{CHECK}", "shop: = shop.Orders/List  0", False),
    ],
)
def test_what_is_asked_finds_the_same_operation_answered_well(denied, other, found):
    assert finds(asked(denied), other) is found


@pytest.mark.parametrize("hostile", ['/a"}||{true}', "/a`b", "/a\\b", "/(((", "/" + "x" * 5000, "/é/%2e%2e", "/a{b}c/[d]"])
def test_a_path_never_becomes_syntax(hostile):
    span = spans_of("shop: GET /x  403")[0]
    span.attributes["url.path"] = hostile
    query = write(siblings.question(span))
    assert write(parse(query)) == query
    assert finds(query, "shop: GET /anything  200") is False


# --------------------------------------------------------------------------------------------------------- the best one


def found(number: int, apart_min: float) -> FoundTrace:
    start = draw(DENIED).start_ns + int(apart_min * MINUTE)
    return FoundTrace(f"{number:032x}", "shop", "GET /orders/{id}", UnixNanos(start), 5, 1, ())


def judged(number: int, outcome: Outcome = Outcome.ALLOWED, who: str = "") -> Judged:
    return Judged(f"{number:032x}", outcome, None, "shop", "", "", who, "", "", Confidence.HIGH, UnixNanos(0), 0, 1, False)


class Tempo:
    """Gives the traces that lie within the window that is asked for."""

    def __init__(self, *traces: FoundTrace) -> None:
        self.traces = traces
        self.windows: list[int] = []

    async def search(self, q, start_ns, end_ns, *, limit, spans_per_set):
        self.windows.append((end_ns - start_ns) // 2 // MINUTE)
        within = tuple(one for one in self.traces if start_ns <= one.start_ns <= end_ns)
        return SearchResult(within[:limit], len(within) > limit, False, q, start_ns, end_ns)


class Judgements:
    def __init__(self, *verdicts: Judged | Unjudged) -> None:
        self.verdicts = {one.trace_id: one for one in verdicts}

    async def of(self, trace_ids, *, deadline_s):
        return {one: self.verdicts[one] for one in trace_ids if one in self.verdicts}


async def near(tempo, judgements):
    trace = draw(DENIED)
    return await siblings.near(tempo, judgements, trace, examine(trace))


async def test_the_nearest_that_was_let_through_comes_first_and_refused_ones_not_at_all():
    tempo = Tempo(found(1, -1.5), found(2, 0.5), found(3, 0.1))
    got = await near(tempo, Judgements(judged(1), judged(2), judged(3, Outcome.DENIED)))
    assert [int(one.trace_id) for one in got.found] == [2, 1]
    assert [one.apart_ns for one in got.found] == [MINUTE // 2, -3 * MINUTE // 2]
    assert (got.matched, got.judged) == (3, 3)
    assert tempo.windows == [2]


async def test_the_same_person_outranks_the_nearer_and_a_check_outranks_both():
    tempo = Tempo(found(1, 0.1), found(2, 1), found(3, 0.2))
    verdicts = judged(1, Outcome.NO_AUTH_EVIDENCE, "anna"), judged(2, who="anna"), judged(3, who="bob")
    got = await near(tempo, Judgements(*verdicts))
    assert [int(one.trace_id) for one in got.found] == [2, 3, 1]


async def test_it_looks_farther_only_where_nothing_near_will_do():
    tempo = Tempo(found(1, 0.1), found(2, 90))
    got = await near(tempo, Judgements(judged(1, Outcome.DENIED), judged(2)))
    assert [int(one.trace_id) for one in got.found] == [2]
    assert tempo.windows == [2, 20, 180]


async def test_what_could_not_be_judged_is_counted_and_not_listed():
    got = await near(Tempo(found(1, 1)), Judgements(Unjudged(f"{1:032x}", "Tempo did not answer.")))
    assert (got.found, got.matched, got.judged) == ((), 1, 0)


async def test_a_trace_is_no_sibling_of_itself():
    trace = draw(DENIED)
    itself = FoundTrace(trace.trace_id.lstrip("0"), "shop", "GET", UnixNanos(trace.start_ns), 5, 1, ())
    assert (await near(Tempo(itself), Judgements())).matched == 0
