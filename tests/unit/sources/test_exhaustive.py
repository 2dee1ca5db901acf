"""Complete searches against a Tempo that returns any first matches: every trace once, or a slice that says what is missing."""

from __future__ import annotations

import itertools
import random

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.errors import SourceRefused
from app.settings import TempoSettings
from app.sources.exhaustive import Progress, exhaustive_search
from app.sources.tempo import TempoClient
from app.sources.values import CompleteSearch
from app.times import SECOND, UnixNanos

T0 = 1_790_000_000
HOUR = 3600


class SlicedTempo(httpx.AsyncBaseTransport):
    """Holds (start, duration) in milliseconds per trace; returns, in no order, the first `limit` that touch the range."""

    def __init__(self, traces: list[tuple[int, int]], *, longest_s: int = 168 * HOUR, most: int = 100_000) -> None:
        self.traces = {f"{n + 1:x}": when for n, when in enumerate(traces)}
        self.longest_s = longest_s
        self.most = most
        self.requests: list[tuple[int, int, int]] = []
        self.fails: dict[int, int] = {}  # request number: status
        self.random = random.Random(7)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        start, end, limit = int(params["start"]), int(params["end"]), int(params["limit"])
        self.requests.append((start, end, limit))
        if status := self.fails.get(len(self.requests)):
            return httpx.Response(status, text="no")
        if limit > self.most:
            return httpx.Response(400, text=f"limit {limit} exceeds max_result_limit {self.most}")
        if end - start > self.longest_s:
            text = f"range specified by start and end exceeds {self.longest_s}s. received start={start} end={end}"
            return httpx.Response(400, text=text)
        hits = [
            {"traceID": id_, "startTimeUnixNano": str(begin * 10**6), "durationMs": length}
            for id_, (begin, length) in self.traces.items()
            if begin <= end * 1000 and begin + length >= start * 1000
        ]
        self.random.shuffle(hits)
        return httpx.Response(200, json={"traces": hits[:limit]})


async def search(tempo: SlicedTempo, start_s: int, end_s: int, **given: object) -> CompleteSearch:
    settings = TempoSettings.model_validate(
        {"url": "http://tempo:3200", "attempts": 1, "search_cutoff_s": given.pop("cutoff_s", 0)}
    )
    now = given.pop("now_s", T0 + 10**6)
    client = TempoClient(settings, transport=tempo, clock=lambda: UnixNanos(now * SECOND))
    return await exhaustive_search(client, "{}", start_s * SECOND, end_s * SECOND, **given)


def adds_up(result: CompleteSearch, start_s: int, end_s: int) -> None:
    """The slices cover the window without gap or overlap."""
    edges = [(part.start_ns, part.end_ns) for part in result.slices]
    assert edges[0][0] == start_s * SECOND
    assert edges[-1][1] == end_s * SECOND
    assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))


# Bursts within few seconds, and long traces that touch many slices, are what makes cutting hard.
TRACES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 599_999), st.integers(300_000, 303_000)),
        st.one_of(st.integers(0, 900), st.integers(0, 60_000)),
    ).map(lambda t: (T0 * 1000 + t[0], t[1])),
    max_size=120,
)


@given(traces=TRACES, limit=st.integers(1, 40))
@hypothesis_settings(max_examples=60, deadline=None)
async def test_nothing_is_missed_or_doubled_or_else_it_is_said(traces, limit):
    tempo = SlicedTempo(traces)
    result = await search(tempo, T0, T0 + 600, limit=limit)
    adds_up(result, T0, T0 + 600)
    found = [trace.trace_id.lstrip("0") for trace in result.traces]
    assert len(found) == len(set(found))
    wanted = {id_ for id_, (begin, _) in tempo.traces.items() if begin <= (T0 + 600) * 1000}
    assert set(found) <= wanted
    for id_ in wanted - set(found):
        begin, length = tempo.traces[id_]
        holders = [s for s in result.missing if s.start_ns <= (begin + length) * 10**6 and begin * 10**6 <= s.end_ns]
        assert holders, f"{id_} is missing and no slice says so"
    assert result.requests == len(tempo.requests)


async def test_ten_thousand_traces_are_all_found():
    chance = random.Random(3)
    traces = [(T0 * 1000 + chance.randrange(6 * HOUR * 1000), chance.randrange(500)) for _ in range(10_000)]
    tempo = SlicedTempo(traces)
    seen: list[Progress] = []
    result = await search(tempo, T0, T0 + 6 * HOUR, on_progress=seen.append)
    assert len(result.traces) == 10_000
    assert result.complete
    assert result.missing == ()
    assert seen[-1] == Progress(10_000, result.requests, 1.0)
    assert [p.searched for p in seen] == sorted(p.searched for p in seen)
    # Bisection asks at most about twice for each slice that is left.
    assert result.requests <= 2 * len(result.slices)


async def test_a_single_request_suffices_for_few():
    tempo = SlicedTempo([(T0 * 1000, 5)])
    result = await search(tempo, T0, T0 + 60)
    assert result.requests == 1
    assert result.complete
    assert [(s.found, s.problem) for s in result.slices] == [(1, "")]


async def test_a_crowded_second_is_asked_for_with_a_higher_limit():
    tempo = SlicedTempo([(T0 * 1000 + 30_500, 1)] * 90)
    result = await search(tempo, T0, T0 + 60, limit=10)
    assert len(result.traces) == 90
    assert result.complete
    assert max(limit for _, _, limit in tempo.requests) == 200


@pytest.mark.parametrize(("most", "words"), [(100_000, "200 traces or more, and no finer cut."), (150, "10 traces or more")])
async def test_a_second_too_crowded_is_reported_with_its_time(most, words):
    tempo = SlicedTempo([(T0 * 1000 + 30_500, 1)] * 900 + [(T0 * 1000, 1)], most=most)
    result = await search(tempo, T0, T0 + 60, limit=10)
    assert not result.complete
    assert [(s.start_ns // SECOND - T0, s.end_ns // SECOND - T0) for s in result.missing] == [(30, 31)]
    assert words in result.missing[0].problem
    assert f"{901:032x}" in {trace.trace_id for trace in result.traces}


async def test_a_slice_that_fails_is_reported_and_the_others_are_kept():
    tempo = SlicedTempo([(T0 * 1000 + n * 1000, 1) for n in range(100)])
    tempo.fails = {2: 500}
    result = await search(tempo, T0, T0 + 100, limit=60)
    adds_up(result, T0, T0 + 100)
    assert len(result.missing) == 1
    assert result.missing[0].problem == "Tempo failed with status 500."
    assert result.missing[0].end_ns - result.missing[0].start_ns == 50 * SECOND
    assert len(result.traces) >= 60


async def test_a_bad_query_is_an_error_and_not_a_hole():
    tempo = SlicedTempo([])
    tempo.fails = {1: 400}
    with pytest.raises(SourceRefused):
        await search(tempo, T0, T0 + 30 * 24 * HOUR)
    assert len(tempo.requests) == 1


async def test_tempos_tighter_range_is_learned():
    tempo = SlicedTempo([(T0 * 1000 + n * HOUR * 1000, 1) for n in range(48)], longest_s=6 * HOUR)
    result = await search(tempo, T0, T0 + 48 * HOUR)
    assert len(result.traces) == 48
    assert result.complete
    adds_up(result, T0, T0 + 48 * HOUR)
    assert len(tempo.requests) == 9


async def test_what_is_left_at_the_end_of_the_budget_is_listed_as_not_searched():
    tempo = SlicedTempo([(T0 * 1000 + n * 100, 1) for n in range(10_000)])
    result = await search(tempo, T0, T0 + 1000, limit=50, most_requests=40)
    adds_up(result, T0, T0 + 1000)
    assert 0 < len(result.traces) < 10_000
    assert "Not searched: the search ended after" in result.missing[0].problem
    # The newest part is what was had.
    assert result.slices[-1].problem == ""
    result = await search(tempo, T0, T0 + 1000, limit=50, most_traces=200)
    assert "ended at" in result.missing[0].problem
    result = await search(tempo, T0, T0 + 1000, limit=50, deadline_s=0)
    assert "ended after 0 s" in result.missing[0].problem


async def test_the_seconds_that_tempo_does_not_search_yet_are_one_slice_that_says_so():
    now_s = T0 + 100
    tempo = SlicedTempo([(T0 * 1000 + n * 100, 1) for n in range(1000)])
    result = await search(tempo, T0, now_s, limit=20, cutoff_s=30, now_s=now_s)
    adds_up(result, T0, now_s)
    newest = result.slices[-1]
    assert (newest.start_ns // SECOND, newest.end_ns // SECOND) == (now_s - 31, now_s)
    assert "Tempo may not search the last 30 s yet." in newest.problem
    assert all(part.problem == "" for part in result.slices[:-1])
    # No request lay wholly inside the part that is not searched: such a one would bring traces of other times.
    assert all(start < now_s - 30 for start, _, _ in tempo.requests)


async def test_a_window_before_the_cutoff_knows_nothing_of_it():
    tempo = SlicedTempo([(T0 * 1000, 1)])
    result = await search(tempo, T0, T0 + 50, cutoff_s=30, now_s=T0 + 100)
    assert result.complete
    assert result.requests == 1
