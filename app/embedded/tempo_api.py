"""Tempo's HTTP API over the span store: the routes, parameters and answers of Tempo 3.0. Errors are plain text, as Tempo's."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import app as clew
from app.embedded import search, tags, wire
from app.embedded.reader import EVER, Reader, Window
from app.embedded.search import Asked, Deadline, TooSlow
from app.embedded.store import Store
from app.errors import AppError, InvalidInput
from app.times import SECOND, now_ns, parse_duration, parse_iso
from app.traceql import metrics
from app.traceql.lexer import TraceQLError
from app.traceql.nodes import Query, span_filter
from app.traceql.nodes import search as search_query
from app.traceql.parse import parse

MAX_LIMIT = 262_144
MAX_SPANS_PER_SET = 100
MAX_SEARCH_S = 168 * 3600
MAX_METRICS_S = 24 * 3600
DEADLINE_S = 25.0
_PROTOBUF = "application/protobuf"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Switches:
    """Behaviour of a real Tempo that a client must cope with, off by default.

    max_trace_bytes: larger traces are answered 422 by the first API, and in part with status PARTIAL by the second; 0 never.
    hidden_s:        the most recent seconds that searches do not see yet.
    require_tenant:  401 without X-Scope-OrgID. Tenants are asked for, not kept apart.
    """

    max_trace_bytes: int = 0
    hidden_s: int = 0
    require_tenant: bool = False


class NotUnderstood(InvalidInput):
    """A parameter is wrong: 400."""


class Unauthorised(AppError):
    """No tenant was named where one is required: 401."""


class TraceTooLarge(AppError):
    """422."""


class TempoApi:
    """The handlers. Queries run in threads, each with a connection of its own; the event loop only waits."""

    def __init__(self, store: Store, switches: Switches, *, threads: int = 4) -> None:
        self._store = store
        self._switches = switches
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._local = threading.local()
        self._readers: list[Reader] = []

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.close()

    def routes(self) -> list[Route]:
        return [
            Route("/ready", self._ready),
            Route("/api/echo", self._echo),
            Route("/api/status/buildinfo", self._build_info),
            Route("/status/version", self._version),
            Route("/status/config", self._config),
            Route("/api/traces/{trace_id}", self._handled(self._trace_v1)),
            Route("/api/v2/traces/{trace_id}", self._handled(self._trace_v2)),
            Route("/api/search", self._handled(self._search)),
            Route("/api/search/tags", self._handled(self._tags_v1)),
            Route("/api/v2/search/tags", self._handled(self._tags_v2)),
            Route("/api/search/tag/{tag:path}/values", self._handled(self._values_v1)),
            Route("/api/v2/search/tag/{tag:path}/values", self._handled(self._values_v2)),
            Route("/api/metrics/query_range", self._handled(self._range)),
            Route("/api/metrics/query", self._handled(self._instant)),
        ]

    def _handled(self, answer: Callable[[Request, Reader], Response]) -> Callable[[Request], Any]:
        """A handler that runs `answer` in a thread and turns errors into Tempo's plain texts."""

        async def handle(request: Request) -> Response:
            try:
                if self._switches.require_tenant and not request.headers.get("x-scope-orgid"):
                    raise Unauthorised("no org id")
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, lambda: answer(request, self._reader()))
            except AppError as error:
                return PlainTextResponse(error.sentence, next(code for kind, code in _CODES if isinstance(error, kind)))

        return handle

    def _reader(self) -> Reader:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = Reader(self._store)
            self._readers.append(reader)
        return reader

    # ------------------------------------------------------------------------------------------------ about itself

    async def _ready(self, request: Request) -> Response:
        return PlainTextResponse("ready\n")

    async def _echo(self, request: Request) -> Response:
        return PlainTextResponse("echo\n")

    async def _build_info(self, request: Request) -> Response:
        about = {"version": f"clew-{clew.__version__}", "revision": "", "branch": "", "buildDate": "", "buildUser": "",
                 "goVersion": ""}  # fmt: skip
        return _json(about)

    async def _version(self, request: Request) -> Response:
        return PlainTextResponse(f"clew, version {clew.__version__}\n")

    async def _config(self, request: Request) -> Response:
        """As much of Tempo's listing as there is a setting for: how long spans are kept."""
        return PlainTextResponse(f"compactor:\n    compaction:\n        block_retention: {self._store.retention.age_s}s\n")

    # ------------------------------------------------------------------------------------------------ trace by id

    def _trace_v1(self, request: Request, reader: Reader) -> Response:
        trace_id = _trace_id(request)
        most = self._switches.max_trace_bytes
        if most and reader.size(trace_id) > most:
            raise TraceTooLarge(f"trace exceeds max size (max bytes: {most})")
        trace = reader.trace(trace_id)
        if trace is None:
            return Response(status_code=404)
        if _wants_protobuf(request):
            return Response(wire.trace_message(trace.spans), media_type=_PROTOBUF)
        return _json({"batches": wire.resource_spans(trace.spans)})

    def _trace_v2(self, request: Request, reader: Reader) -> Response:
        trace_id = _trace_id(request)
        trace = reader.trace(trace_id)
        spans = list(trace.spans) if trace else []
        size, most = reader.size(trace_id), self._switches.max_trace_bytes
        note = ""
        if most and size > most:
            spans = spans[: max(1, len(spans) * most // size)]
            note = f"Trace exceeds maximum size of {most} bytes, a partial trace is returned"
        if _wants_protobuf(request):
            return Response(wire.trace_response(spans, note=note), media_type=_PROTOBUF)
        answer: dict[str, Any] = {
            "trace": {"resourceSpans": wire.resource_spans(spans)} if spans else {},
            "metrics": {"inspectedBytes": str(size)} if spans else {},
        }
        if note:
            answer |= {"status": "PARTIAL", "message": note}
        return _json(answer)

    # ----------------------------------------------------------------------------------------------------- search

    def _search(self, request: Request, reader: Reader) -> Response:
        params = request.query_params
        window = self._window(request, MAX_SEARCH_S)
        limit = _whole(request, "limit", 20, least=1, most=MAX_LIMIT)
        per_set = _whole(request, "spss", 3, least=0, most=MAX_SPANS_PER_SET)
        deadline = Deadline(DEADLINE_S)
        if "tags" in params:
            if params.get("q"):
                raise NotUnderstood("invalid request: can't specify tags and q in the same query")
            durations = _duration(request, "minDuration"), _duration(request, "maxDuration")
            return _json(search.legacy(reader, _logfmt(params["tags"]), durations, window, limit, deadline))
        query = _query(params.get("q") or "{}")
        return _json(search.search(reader, Asked(query, window, limit, per_set), deadline))

    def _tags_v1(self, request: Request, reader: Reader) -> Response:
        found = self._names(request, reader)
        return _json({"tagNames": sorted({name for names in found.values() for name in names}), "metrics": {}})

    def _tags_v2(self, request: Request, reader: Reader) -> Response:
        scope = request.query_params.get("scope", "")
        if scope not in ("", "none", "all", "intrinsic", *tags.SCOPES):
            raise NotUnderstood(f"invalid scope: {scope[:40]}")
        found = {"intrinsic": tags.INTRINSICS, **self._names(request, reader)}
        if scope in found or scope in tags.SCOPES or scope == "intrinsic":
            found = {scope: found[scope]} if scope in found else {}
        return _json({"scopes": [{"name": name, "tags": names} for name, names in found.items()], "metrics": {}})

    def _names(self, request: Request, reader: Reader) -> dict[str, list[str]]:
        window = self._window(request, MAX_SEARCH_S)
        query = _lenient_query(request)
        if query is not None:
            return tags.names_where(reader, query, window, Deadline(DEADLINE_S))
        return tags.names(reader, window)

    def _values_v1(self, request: Request, reader: Reader) -> Response:
        name = request.path_params["tag"]
        window = self._window(request, MAX_SEARCH_S)
        try:
            wanted = tags.field(name if name in tags.INTRINSICS else f".{name}")
        except InvalidInput:
            return _json({"tagValues": [], "metrics": {}})
        found = tags.values(reader, wanted, window)
        return _json({"tagValues": [value["value"] for value in found], "metrics": {}})

    def _values_v2(self, request: Request, reader: Reader) -> Response:
        wanted = tags.field(request.path_params["tag"])
        window = self._window(request, MAX_SEARCH_S)
        limit = _whole(request, "limit", 0, least=0, most=MAX_LIMIT) or tags.MOST_VALUES
        query = _lenient_query(request)
        if query is not None:
            found = tags.values_where(reader, wanted, query, window, Deadline(DEADLINE_S), limit)
        else:
            found = tags.values(reader, wanted, window, limit)
        return _json({"tagValues": found, "metrics": {}})

    # ---------------------------------------------------------------------------------------------------- metrics

    def _range(self, request: Request, reader: Reader) -> Response:
        start_ns, end_ns = self._metrics_range(request)
        given = request.query_params.get("step")
        step_ns = _step(given) if given else metrics.default_step(start_ns, end_ns)
        return self._series(request, reader, metrics.Steps.aligned(start_ns, end_ns, step_ns), instant=False)

    def _instant(self, request: Request, reader: Reader) -> Response:
        return self._series(request, reader, metrics.Steps.instant(*self._metrics_range(request)), instant=True)

    def _series(self, request: Request, reader: Reader, steps: metrics.Steps, *, instant: bool) -> Response:
        params = request.query_params
        query = _query(params.get("q") or params.get("query") or "")
        exemplars = 0 if instant else min(_whole(request, "exemplars", metrics.MAX_EXEMPLARS), metrics.MAX_EXEMPLARS)
        hint = query.hint("exemplars")
        if isinstance(hint, int):
            exemplars = min(int(hint), exemplars)
        builder = metrics.SeriesBuilder(query, steps, exemplars=exemplars)
        window = Window(steps.start_ns, steps.start_ns + steps.step_ns * steps.count)
        with reader.snapshot():
            for _, spansets in search.matching(reader, builder.matcher, window, Deadline(DEADLINE_S), search.Inspected()):
                for one in spansets:
                    builder.observe(one.rows)
        shape = _instant_series if instant else _range_series
        series = [found for one in builder.result() if (found := shape(one, steps)) is not None]
        return _json({"series": series, "metrics": {"completedJobs": 1, "totalJobs": 1}})

    # ------------------------------------------------------------------------------------------------- parameters

    def _metrics_range(self, request: Request) -> tuple[int, int]:
        params = request.query_params
        now = now_ns()
        end_ns = _moment(params["end"]) if params.get("end") else now
        if params.get("since"):
            start_ns = end_ns - _duration(request, "since")
        else:
            start_ns = _moment(params["start"]) if params.get("start") else end_ns - 3600 * SECOND
        if start_ns >= end_ns:
            raise NotUnderstood("end must be greater than start")
        if end_ns - start_ns > MAX_METRICS_S * SECOND:
            raise NotUnderstood(f"range specified by start and end exceeds {MAX_METRICS_S // 3600}h0m0s")
        return start_ns, end_ns

    def _window(self, request: Request, most_s: int) -> Window:
        """The range asked for; without one, everything that is kept."""
        params = request.query_params
        hidden = self._switches.hidden_s
        newest = now_ns() // SECOND - hidden if hidden else 2**33
        if params.get("since"):
            end = now_ns() // SECOND
            start = end - _duration(request, "since") // SECOND
        elif params.get("start") or params.get("end"):
            start, end = _whole(request, "start", 0), _whole(request, "end", 0)
            if not start or not end:
                raise NotUnderstood("start and end must be given together, in seconds")
            if start >= end:
                raise NotUnderstood(f"http parameter start must be before end. received start={start} end={end}")
        elif hidden:
            start, end = newest - 900, newest
        else:
            return EVER
        if end - start > most_s:
            raise NotUnderstood(
                f"range specified by start and end exceeds {most_s // 3600}h0m0s. received start={start} end={end}"
            )
        return Window(start * SECOND, min(end, newest) * SECOND)


# The first that fits counts.
_CODES: list[tuple[type[AppError], int]] = [
    (InvalidInput, 400),
    (Unauthorised, 401),
    (TraceTooLarge, 422),
    (TooSlow, 504),
    (AppError, 500),
]


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _wants_protobuf(request: Request) -> bool:
    return _PROTOBUF in request.headers.get("accept", "")


def _trace_id(request: Request) -> str:
    text = request.path_params["trace_id"]
    if len(text) > 32:
        raise NotUnderstood("trace IDs can't be larger than 128 bits")
    wrong = re.search(r"[^0-9a-fA-F]", text)
    if wrong:
        raise NotUnderstood(
            f"trace IDs can only contain hex characters: invalid character {wrong[0]!r} at position {wrong.start() + 1}"
        )
    start, end = _whole(request, "start", 0), _whole(request, "end", 0)
    if (start or end) and end <= start:
        raise NotUnderstood(f"http parameter start must be before end. received start={start} end={end}")
    return str(text).lower().zfill(32)


def _whole(request: Request, name: str, default: int, *, least: int = 0, most: int = 2**33) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or not least <= int(text) <= most:
        raise NotUnderstood(f"invalid {name}: {text[:40]!r} is not a whole number from {least} to {most}")
    return int(text)


def _duration(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return 0
    try:
        duration = parse_duration(text)
    except InvalidInput:
        duration = -1  # type: ignore[assignment]
    if duration < 0:
        raise NotUnderstood(f"invalid {name}: {text[:40]!r} is not a duration such as 1.5s")
    return duration


def _step(text: str) -> int:
    """A step: a duration, or seconds."""
    try:
        step = int(float(text) * SECOND) if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) else parse_duration(text)
    except (InvalidInput, OverflowError):
        step = 0
    if step <= 0:
        raise NotUnderstood(f"invalid step: {text[:40]!r} is not a duration such as 60s")
    return step


def _moment(text: str) -> int:
    """Unix seconds (whole or not), nanoseconds where there are more than ten digits, or RFC 3339."""
    if re.fullmatch(r"\d{1,19}", text, re.ASCII):
        return int(text) * SECOND if len(text) <= 10 else int(text)
    if re.fullmatch(r"\d{1,10}\.\d{1,9}", text, re.ASCII):
        whole, _, fraction = text.partition(".")
        return int(whole) * SECOND + int(fraction.ljust(9, "0"))
    try:
        return parse_iso(text)
    except InvalidInput:
        raise NotUnderstood(f"{text[:40]!r} is not a time: seconds, nanoseconds or RFC 3339") from None


def _query(text: str) -> Query:
    try:
        return parse(text)
    except TraceQLError as error:
        raise NotUnderstood(f"invalid TraceQL query: {error.detail}") from None


def _lenient_query(request: Request) -> Query | None:
    """The filter of a list of tags. Tempo ignores one that it cannot read, and answers as if there were none."""
    text = request.query_params.get("q", "").strip()
    try:
        query = parse(text) if text else None
    except InvalidInput:
        return None
    return None if query is None or query == search_query(span_filter()) else query


def _logfmt(text: str) -> dict[str, str]:
    """`k=v k2="v 2"`. Errors: NotUnderstood."""
    out = {}
    position = 0
    while position < len(text):
        pair = _LOGFMT.match(text, position)
        if not pair:
            raise NotUnderstood(f"invalid tags: expected key=value at position {position + 1}")
        quoted, plain = pair[2], pair[3]
        out[pair[1]] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        position = pair.end()
    return out


_LOGFMT = re.compile(r'\s*([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?:\s+|$)')


def _labels(labels: metrics.Labels) -> list[dict[str, Any]]:
    return [wire.typed_pair(name, value) for name, value in labels]


def _sample(value: float) -> dict[str, Any]:
    """Zeros are left out; what is not a number is text."""
    return {"value": wire.json_float(value)} if value else {}


def _range_series(series: metrics.Series, steps: metrics.Steps) -> dict[str, Any]:
    samples = [
        {"timestampMs": str(steps.time_ms(place)), **_sample(value)}
        for place, value in enumerate(series.values)
        if value == value  # not NaN
    ]
    out: dict[str, Any] = {"labels": _labels(series.labels), "samples": samples}
    if series.exemplars:
        out["exemplars"] = [
            {"labels": _labels(e.labels), **_sample(e.value), "timestampMs": str(e.time_ms)} for e in series.exemplars
        ]
    return out


def _instant_series(series: metrics.Series, steps: metrics.Steps) -> dict[str, Any] | None:
    if not series.values:
        return {"labels": _labels(series.labels)}
    return {"labels": _labels(series.labels), **_sample(series.values[0])} if series.values[0] == series.values[0] else None
