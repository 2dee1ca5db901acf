"""Traces by id, searches by TraceQL, tag values and TraceQL metrics, from Tempo 2.6 to 3.0 or whatever speaks its API."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

import httpx2 as httpx

from app.errors import InvalidInput, NotATrace, NotFound, SourceError, SourceRefused, SourceUnavailable
from app.settings import TempoSettings
from app.sources.answer import NOWHERE, Answer, Clean
from app.sources.client import SourceClient
from app.sources.http import DECODE_INLINE
from app.sources.tempo_wire import (
    BuildAnswer,
    Hits,
    MetricsAnswer,
    SearchAnswer,
    TagNamesAnswer,
    TagValuesAnswer,
    newest_first,
    overlaps,
    range_limit_s,
    unite,
)
from app.sources.values import (
    BuildInfo,
    FoundTrace,
    QueryResult,
    Sample,
    SearchResult,
    Series,
    TagValue,
    TraceBytes,
)
from app.times import SECOND, UnixNanos, now_ns
from app.traces import build, ids, otlp
from app.traces.model import Trace

Scope = Literal["resource", "span", "intrinsic", "event", "link", "instrumentation"]

MOST_SPANS_PER_SET = 100  # what every version accepts; above it 2.7 and later refuse the search
MOST_INTERVALS = 10_000  # of one metrics query, since 2.9


class TempoClient(SourceClient[TempoSettings]):
    """Questions to one Tempo. All times in Unix nanoseconds; Tempo itself searches in whole seconds."""

    NAME = "Tempo"

    def __init__(
        self,
        settings: TempoSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], UnixNanos] = now_ns,
    ) -> None:
        super().__init__(settings, transport=transport, clock=clock)
        self._clock = clock
        # Tempo's real limits may be tighter than the settings say; its refusals name them.
        self._search_range_s = settings.max_search_window_h * 3600
        self._metric_range_s: int | None = None

    def refusal(self, answer: Answer, operation: str, clean: Clean) -> SourceError | None:
        return _refusal(answer, operation, clean)

    # ---------------------------------------------------------------------------------------------- one trace by id

    async def trace_bytes(self, trace_id: str) -> TraceBytes:
        """A trace as received, known to be readable.

        Errors: NotFound; InvalidInput for what is no trace id; SourceRefused where Tempo has it but deems it too large.
        """
        return (await self._decoded(trace_id))[1]

    async def trace(self, trace_id: str) -> tuple[Trace, TraceBytes]:
        """A trace built from what was received, and what was received."""
        decoded, received = await self._decoded(trace_id)
        if len(received.body) <= DECODE_INLINE:
            return build.build(decoded), received
        return await asyncio.to_thread(build.build, decoded), received

    async def _decoded(self, text: str) -> tuple[otlp.Decoded, TraceBytes]:
        trace_id = ids.trace_id(text)
        answer = await self._fetch(trace_id)
        try:
            if len(answer.body) <= DECODE_INLINE:
                decoded = otlp.decode(answer.body, answer.media_type)
            else:
                decoded = await asyncio.to_thread(otlp.decode, answer.body, answer.media_type)
        except NotATrace as error:
            sentence = "Tempo's answer is not a trace that Clew can read."
            raise self.http.unreadable("trace by id", sentence, str(error)) from None
        if not decoded.spans:
            raise _absent(trace_id)
        received = TraceBytes(
            trace_id=trace_id,
            body=answer.body,
            media_type=answer.media_type,
            url=answer.url,
            tenant=self.http.tenant,
            received_ns=answer.received_ns,
            partial=decoded.partial,
            note=self.http.clean(decoded.note),
        )
        return decoded, received

    async def _fetch(self, trace_id: str) -> Answer:
        """By the second version of the route, which knows partial traces; by the first where that route is missing.

        No time range is sent: it is a hint which blocks to open, and a wrong one hides the trace or a part of it.
        """
        for path in (f"/api/v2/traces/{trace_id}", f"/api/traces/{trace_id}"):
            answer = await self.http.get(path, operation="trace by id", statuses=(200, 404), expect=("json", "protobuf"))
            if answer.status == 200:
                return answer
        # The first version says "no such trace" by a 404 without a body; a missing route, or a gateway, has something to say.
        if "html" in answer.media_type or (answer.text.strip() and "trace" not in answer.text.lower()):
            raise SourceRefused("Tempo", "trace by id", NOWHERE.format("Tempo"), status=404)
        raise _absent(trace_id)

    # ------------------------------------------------------------------------------------------------------- search

    async def search(
        self, q: str, start_ns: int, end_ns: int, *, limit: int | None = None, spans_per_set: int = 3
    ) -> SearchResult:
        """Traces that match `q` and touch the window: the first `limit` that Tempo comes across, newest first.

        A range longer than Tempo searches at once is asked for piece by piece, newest first, until the limit is reached.
        Where a piece fails after others answered, the result is `incomplete` and its note says why.
        """
        limit = limit or self.settings.search_limit
        first_s, last_s = whole_seconds(start_ns, end_ns)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.search_timeout_s
        found: dict[str, FoundTrace] = {}
        notes: list[str] = []
        limited = incomplete = False
        upper_s = last_s
        while upper_s > first_s and not limited:
            lower_s = max(first_s, upper_s - self._search_range_s)
            try:
                hits = await self.search_once(
                    q, lower_s, upper_s, limit=limit, spans_per_set=spans_per_set, deadline_s=deadline - loop.time()
                )
            except SourceError as error:
                if self.learned_range(error) and self._search_range_s < upper_s - lower_s:
                    continue
                if upper_s == last_s:
                    raise
                incomplete = True
                notes.append(f"Only the newest part of the range was searched: {error}")
                break
            unite(found, hits.traces)
            limited = hits.received >= limit or len(found) >= limit
            # Reaching the limit is itself a reason to stop early, and has its own mark.
            if hits.problem and not limited:
                incomplete = True
                notes.append(hits.problem)
            upper_s = lower_s
        kept = newest_first(trace for trace in found.values() if overlaps(trace, start_ns, end_ns))
        note = " ".join([*dict.fromkeys(notes), *filter(None, [self.unsearched(end_ns)])])
        return SearchResult(kept, limited, incomplete, q, UnixNanos(start_ns), UnixNanos(end_ns), note)

    async def search_once(
        self, q: str, start_s: int, end_s: int, *, limit: int, spans_per_set: int, deadline_s: float | None = None
    ) -> Hits:
        """The hits of a single request as they come."""
        params: dict[str, str | int] = {
            "q": q,
            "start": start_s,
            "end": end_s,
            "limit": limit,
            "spss": max(1, min(spans_per_set, MOST_SPANS_PER_SET)),
        }
        seconds = self.settings.search_timeout_s if deadline_s is None else max(0.001, deadline_s)
        answer = await self.http.read_json("/api/search", params, SearchAnswer, operation="search", deadline_s=seconds)
        return answer.hits()

    @property
    def search_range_s(self) -> int:
        """The longest range that one search request may have, as far as is known."""
        return self._search_range_s

    def searched_until_s(self) -> int:
        """The second up to which Tempo searches by now."""
        return self._clock() // SECOND - self.settings.search_cutoff_s

    def unsearched(self, end_ns: int) -> str:
        """The words for the newest stretch of a window that Tempo leaves out of searches; "" where it is older."""
        cutoff_s = self.settings.search_cutoff_s
        if not cutoff_s or end_ns <= self.searched_until_s() * SECOND:
            return ""
        return f"Tempo may not search the last {cutoff_s} s yet."

    def learned_range(self, error: SourceError) -> bool:
        """Was the range too long, and is a tighter `search_range_s` known from the refusal?"""
        longest_s = range_limit_s(error.detail) if error.status == 400 else None
        if longest_s is None or longest_s >= self._search_range_s:
            return False
        self._search_range_s = longest_s
        return True

    # --------------------------------------------------------------------------------------------------------- tags

    async def tag_names(
        self, scope: Scope | None = None, *, start_ns: int | None = None, end_ns: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Attribute names by scope. Tempo cuts long lists without saying so: a sample, not an inventory."""
        params = _range(start_ns, end_ns) | ({"scope": scope} if scope else {})
        answer = await self.http.read_json(
            "/api/v2/search/tags", params, TagNamesAnswer, operation="tag names", deadline_s=self.settings.search_timeout_s
        )
        return {scope.name: tuple(sorted(scope.tags or ())) for scope in answer.scopes or ()}

    async def tag_values(
        self, tag: str, q: str = "", *, start_ns: int | None = None, end_ns: int | None = None
    ) -> tuple[TagValue, ...]:
        """Values of a TraceQL attribute such as `span.auth.result`, among the spans that match `q`.

        Tempo cuts long lists without saying so, and ignores a `q` that it cannot parse: suggestions, not evidence.
        """
        params = _range(start_ns, end_ns) | ({"q": q} if q else {})
        path = f"/api/v2/search/tag/{quote(tag, safe='')}/values"
        answer = await self.http.read_json(
            path, params, TagValuesAnswer, operation="tag values", deadline_s=self.settings.search_timeout_s
        )
        return tuple(TagValue(value.type, value.value) for value in answer.tag_values or ())

    # ------------------------------------------------------------------------------------------------------ metrics

    async def metrics_range(self, q: str, start_ns: int, end_ns: int, step_s: int) -> QueryResult:
        """A TraceQL metrics query over time; in pieces where Tempo has refused the whole.

        A sample's time is Tempo's own: since 2.9 it stands at the end of the bucket it counts, before at its start.
        A missing attribute in `by()` is the label value `nil`. Durations are in seconds.
        """
        first_s, last_s = whole_seconds(start_ns, end_ns)
        if step_s < 1 or (last_s - first_s) / step_s > MOST_INTERVALS:
            raise InvalidInput(f"The step has to be 1 s or more, and at most {MOST_INTERVALS:,} of them in the range.")
        deadline = asyncio.get_running_loop().time() + self.settings.search_timeout_s
        while True:
            width_s = self._metric_width_s(last_s - first_s, step_s)
            answers = []
            try:
                for begin_s in range(first_s, last_s, width_s):
                    until_s = min(begin_s + width_s, last_s)
                    answers.append(await self._metrics("query_range", q, begin_s, until_s, deadline, step=f"{step_s}s"))
            except SourceRefused as error:
                longest_s = range_limit_s(error.detail)
                if longest_s is None or longest_s >= width_s or width_s == step_s:
                    raise
                self._metric_range_s = longest_s
                continue
            warnings = dict.fromkeys(warning for answer in answers for warning in answer.warnings)
            return QueryResult(_joined([answer.over(first_s * SECOND) for answer in answers]), tuple(warnings))

    def _metric_width_s(self, range_s: int, step_s: int) -> int:
        """How much of a range to ask for at once: a multiple of the step, so that the pieces share a grid."""
        if self._metric_range_s is None or self._metric_range_s >= range_s:
            return range_s
        return max(step_s, self._metric_range_s // step_s * step_s)

    async def metrics_instant(self, q: str, start_ns: int, end_ns: int) -> QueryResult:
        """A TraceQL metrics query as one value per series for the whole window, stamped with its end.

        The window's very first instant is not counted: since 2.9 an interval holds its end and not its start.
        """
        first_s, last_s = whole_seconds(start_ns, end_ns)
        deadline = asyncio.get_running_loop().time() + self.settings.search_timeout_s
        answer = await self._metrics("query", q, first_s, last_s, deadline)
        return QueryResult(answer.at(end_ns), answer.warnings)

    async def _metrics(self, route: str, q: str, start_s: int, end_s: int, deadline: float, **more: str) -> MetricsAnswer:
        params: dict[str, str | int] = {"q": q, "start": start_s, "end": end_s, **more}
        left_s = max(0.001, deadline - asyncio.get_running_loop().time())
        path = f"/api/metrics/{route}"
        return await self.http.read_json(path, params, MetricsAnswer, operation="trace metrics", deadline_s=left_s)

    # ------------------------------------------------------------------------------------------------------- status

    async def build_info(self) -> BuildInfo:
        """Tempo's version; "" for a build that was not told its own."""
        answer = await self.http.read_json("/api/status/buildinfo", (), BuildAnswer, operation="build info")
        return BuildInfo("Tempo", answer.version, answer.revision)

    async def ready(self) -> bool:
        """Does it take part in work? Needs no tenant and no credentials of Tempo's own: not a proof that queries pass."""
        answer = await self.http.probe("/ready", operation="readiness")
        # A gateway often passes on /api alone.
        return answer.status == 200 or (answer.status == 404 and await self.echo())

    async def echo(self) -> bool:
        """Does Tempo's API answer below this URL?"""
        answer = await self.http.probe("/api/echo", operation="echo")
        return answer.status == 200 and answer.text.strip() == "echo"


def whole_seconds(start_ns: int, end_ns: int) -> tuple[int, int]:
    """The smallest range of whole seconds around a window, as Tempo wants it.

    Errors: InvalidInput where the window is empty.
    """
    if start_ns >= end_ns or start_ns < 0:
        raise InvalidInput("The range has to begin before it ends.", field="start")
    return start_ns // SECOND, -(-end_ns // SECOND)


def _range(start_ns: int | None, end_ns: int | None) -> dict[str, str | int]:
    if start_ns is None or end_ns is None:
        return {}
    first_s, last_s = whole_seconds(start_ns, end_ns)
    return {"start": first_s, "end": last_s}


def _joined(parts: list[tuple[Series, ...]]) -> tuple[Series, ...]:
    """Series of adjacent ranges as one. At a seam both have a sample, of which one saw only a part of its bucket."""
    if len(parts) == 1:
        return parts[0]
    merged: dict[tuple[tuple[str, str], ...], dict[UnixNanos, float]] = {}
    for series in (series for part in parts for series in part):
        samples = merged.setdefault(tuple(sorted(series.labels.items())), {})
        for sample in series.samples:
            known = samples.get(sample.time_ns)
            if known is None or math.isnan(known) or sample.value > known:
                samples[sample.time_ns] = sample.value
    return tuple(
        Series(dict(labels), tuple(Sample(time_ns, samples[time_ns]) for time_ns in sorted(samples)))
        for labels, samples in merged.items()
    )


def _absent(trace_id: str) -> NotFound:
    return NotFound(f"Tempo holds no trace {trace_id}: never sampled, not there yet, or older than Tempo keeps.")


def _refusal(answer: Answer, operation: str, clean: Clean) -> SourceError | None:
    """What Tempo's plain-text errors mean; before 2.7 and 3.0 some refusals come as 500."""
    words = clean(answer.text)
    lower = words.lower()
    if answer.status in (422, 500) and ("exceeds max size" in lower or "max size of trace" in lower):
        sentence = "The trace is larger than Tempo returns (its max_bytes_per_trace)."
        return SourceRefused("Tempo", operation, sentence, detail=words)
    if answer.status == 400 and (longest_s := range_limit_s(words)):
        sentence = f"Tempo answers ranges of at most {longest_s / 3600:g} h for this; the range asked for is longer."
        return SourceRefused("Tempo", operation, sentence, detail=words)
    if answer.status in (400, 500):
        if "localblocks processor not found" in lower:
            sentence = "This Tempo computes no metrics from traces: its local-blocks processor is off."
            return SourceRefused("Tempo", operation, sentence, detail=words)
        for opening in ("invalid TraceQL query:", "parse error", "not yet supported"):
            if opening in words:
                sentence = f"Tempo does not accept the query: {words.partition('invalid TraceQL query:')[2].strip() or words}."
                return SourceRefused("Tempo", operation, sentence, detail=words)
    if answer.status in (503, 504) and operation in ("search", "trace metrics"):
        sentence = f"Tempo gave up on the {operation} ({answer.status}); a shorter range may pass."
        return SourceUnavailable("Tempo", operation, sentence, detail=words)
    return None
