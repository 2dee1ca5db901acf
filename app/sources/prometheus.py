"""Metrics, exemplars, rules, alerts and firing history, from Prometheus 2.40 to 3 or Mimir."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from app.errors import InvalidInput, SourceError, SourceRefused, SourceUnavailable
from app.settings import PrometheusSettings
from app.sources import history, prometheus_wire, promql
from app.sources.answer import Answer, Clean
from app.sources.client import SourceClient
from app.sources.prometheus_wire import (
    Alertmanagers,
    Alerts,
    Build,
    Envelope,
    ErrorEnvelope,
    ExemplarSeries,
    Groups,
    QueryData,
    RuntimeInfo,
    Targets,
)
from app.sources.values import (
    AlertHistory,
    BuildInfo,
    ExemplarResult,
    FiringAlert,
    QueryResult,
    Rule,
    Sample,
    Series,
    Target,
)
from app.times import HOUR, MILLISECOND, MINUTE, SECOND

T = TypeVar("T")
R = TypeVar("R")

_LONGEST_GET = 1_500  # characters of parameters; longer ones are posted, because proxies limit addresses
_HISTORY_CHUNK_NS = 6 * HOUR
_HISTORY_LEAD_NS = 15 * MINUTE  # looked at before the window, so that most stretches have their true start
_CHUNKS_AT_ONCE = 4


class PrometheusClient(SourceClient[PrometheusSettings]):
    """Questions to one Prometheus or Mimir. All times in Unix nanoseconds; Prometheus keeps milliseconds."""

    NAME = "Prometheus"

    def refusal(self, answer: Answer, operation: str, clean: Clean) -> SourceError | None:
        return _refusal(answer, operation, clean)

    # ------------------------------------------------------------------------------------------------------ queries

    async def query(self, q: str, time_ns: int | None = None) -> QueryResult:
        """The value of an expression at a time, or now. A range selector gives its raw samples.

        An instant value may be five minutes old: Prometheus looks that far back.
        """
        params = {"query": q} | ({} if time_ns is None else {"time": promql.seconds(time_ns)})
        return await self._query("query", params, self.settings.search_timeout_s)

    async def query_range(self, q: str, start_ns: int, end_ns: int, step_s: float) -> QueryResult:
        """An expression over time, both ends included; in pieces where there are more points than one answer may have."""
        step_ns = round(step_s * 1000) * MILLISECOND
        if start_ns > end_ns or step_ns <= 0:
            raise InvalidInput("The range has to begin before it ends, in steps of a millisecond or more.", field="start")
        piece_ns = (self.settings.max_points - 1) * step_ns
        deadline = asyncio.get_running_loop().time() + self.settings.search_timeout_s
        results = []
        for begin_ns in range(start_ns, end_ns + 1, piece_ns + step_ns):
            params = {
                "query": q,
                "start": promql.seconds(begin_ns),
                "end": promql.seconds(min(begin_ns + piece_ns, end_ns)),
                "step": promql.seconds(step_ns),
            }
            left_s = max(0.001, deadline - asyncio.get_running_loop().time())
            results.append(await self._query("query_range", params, left_s))
        return _joined(results)

    async def _query(self, route: str, params: Mapping[str, str], deadline_s: float) -> QueryResult:
        envelope = await self._ask(route, params, Envelope[QueryData], "query", deadline_s=deadline_s)
        return self._convert(prometheus_wire.query_result, envelope, "query")

    async def query_exemplars(self, q: str, start_ns: int, end_ns: int) -> ExemplarResult:
        """Exemplars of the series that an expression selects; functions in it are ignored."""
        params = {"query": q, "start": promql.seconds(start_ns), "end": promql.seconds(end_ns)}
        envelope = await self._ask("query_exemplars", params, Envelope[list[ExemplarSeries]], "exemplars", empty=[])
        labels = self.settings.exemplar_labels
        found = self._convert(lambda data: prometheus_wire.exemplars(data, labels), envelope.data, "exemplars")
        # Switched off and empty are the same answer; only then is it worth asking which.
        storage = True if found else await self.exemplar_storage()
        return ExemplarResult(found, storage, tuple(envelope.remarks))

    async def exemplar_storage(self) -> bool | None:
        """Does this server keep exemplars? None where it does not say, as Mimir or a proxy."""
        try:
            flags = await self._ask("status/flags", {}, Envelope[dict[str, str]], "flags")
        except SourceError:
            return None
        features = flags.data.get("enable-feature")
        return None if features is None else "exemplar-storage" in features

    # --------------------------------------------------------------------------------------------- rules and alerts

    async def rules(self, kind: Literal["alert", "record"] | None = None) -> tuple[Rule, ...]:
        """Rules as they are now; at the time of an incident they may have been others."""
        params = {"exclude_alerts": "true"} | ({"type": kind} if kind else {})
        envelope = await self._ask("rules", params, Envelope[Groups], "rules")
        return envelope.data.as_rules()

    async def alerts(self) -> tuple[FiringAlert, ...]:
        """Alerts pending or firing now. What has resolved is gone from here: see `alert_history`."""
        envelope = await self._ask("alerts", {}, Envelope[Alerts], "alerts")
        return self._convert(Alerts.as_alerts, envelope.data, "alerts")

    async def alert_history(
        self, alertname: str, start_ns: int, end_ns: int, *, labels: Mapping[str, str] | None = None
    ) -> tuple[AlertHistory, ...]:
        """When the instances of an alert were pending and firing within a window.

        Read from raw samples: a range query paints over outages and misses what is shorter than its step.
        labels: only instances with these.
        """
        if start_ns >= end_ns:
            raise InvalidInput("The range has to begin before it ends.", field="start")
        seen_from_ns = max(0, start_ns - _HISTORY_LEAD_NS)
        wanted = {**(labels or {}), "alertname": alertname}
        inside = ", ".join(['__name__=~"ALERTS|ALERTS_FOR_STATE"', *promql.matchers(wanted)])
        series = await self._raw(f"{{{inside}}}", seen_from_ns, end_ns)
        if not series:
            return ()
        interval_ns, unstable = await self._rule_facts(alertname)
        interval_ns = history.evaluation_ns(series, interval_ns)
        found = history.runs(series, interval_ns, unstable=unstable)
        gaps = history.gaps(found.values(), interval_ns)
        alive_ns = await self.alive(gaps, interval_ns, end_ns) if gaps else ()
        return history.histories(
            found,
            start_ns=start_ns,
            end_ns=end_ns,
            seen_from_ns=seen_from_ns,
            interval_ns=interval_ns,
            alive_ns=alive_ns,
        )

    async def _raw(self, selector: str, start_ns: int, end_ns: int) -> tuple[Series, ...]:
        """The samples as they were written, from chunk after chunk of a range selector."""
        limit = asyncio.Semaphore(_CHUNKS_AT_ONCE)

        async def chunk(begin_ns: int) -> QueryResult:
            until_ns = min(begin_ns + _HISTORY_CHUNK_NS, end_ns)
            # A millisecond more: since 3.0 a range leaves out its first instant.
            window = promql.duration(until_ns - begin_ns + MILLISECOND)
            async with limit:
                return await self.query(f"{selector}[{window}]", until_ns)

        parts = await asyncio.gather(*(chunk(begin_ns) for begin_ns in range(start_ns, end_ns, _HISTORY_CHUNK_NS)))
        return _joined(parts).series

    async def _rule_facts(self, alertname: str) -> tuple[int | None, frozenset[str]]:
        """What the rule says now: its interval, and labels that change with the value."""
        try:
            rules = [rule for rule in await self.rules("alert") if rule.name == alertname]
        except SourceError:
            return None, frozenset()  # the samples tell most of it
        unstable = {name for rule in rules for name, text in rule.labels.items() if "$value" in text or ".Value" in text}
        intervals = {round(rule.interval_s * SECOND) for rule in rules}
        return (intervals.pop() if len(intervals) == 1 else None), frozenset(unstable)

    async def alive(self, gaps: list[tuple[int, int]], interval_ns: int, end_ns: int) -> tuple[int, ...]:
        """Times around the gaps at which the evaluator was at work; empty where no series tells."""
        start_ns = min(start for start, _ in gaps) - 10 * interval_ns
        until_ns = min(max(end for _, end in gaps) + 10 * interval_ns, end_ns)
        # Fine enough to see a missed evaluation, without asking for more than a few answers' worth of points.
        step_ns = max(interval_ns, (until_ns - start_ns) // (4 * self.settings.max_points))
        window, step_s = promql.duration(step_ns), step_ns / SECOND
        evaluated = f"max(max_over_time(prometheus_rule_group_last_evaluation_timestamp_seconds[{window}]))"
        scraped = f"count(count_over_time(up[{window}]))"
        try:
            times = [
                prometheus_wire.instant(sample.value)
                for series in (await self.query_range(evaluated, start_ns, until_ns, step_s)).series
                for sample in series.samples
            ] or [
                sample.time_ns
                for series in (await self.query_range(scraped, start_ns, until_ns, step_s)).series
                for sample in series.samples
            ]
        except SourceError:
            return ()
        return tuple(sorted(set(times)))

    # ------------------------------------------------------------------------------------------- labels and targets

    async def labels(
        self, match: Iterable[str] = (), *, start_ns: int | None = None, end_ns: int | None = None
    ) -> tuple[str, ...]:
        """Label names, of the series that any of the selectors matches. Times are approximate to storage blocks."""
        envelope = await self._ask("labels", _matching(match, start_ns, end_ns), Envelope[list[str]], "labels")
        return tuple(envelope.data)

    async def label_values(
        self, name: str, match: Iterable[str] = (), *, start_ns: int | None = None, end_ns: int | None = None
    ) -> tuple[str, ...]:
        route = f"label/{promql.label_in_path(name)}/values"
        params = _matching(match, start_ns, end_ns)
        envelope = await self._ask(route, params, Envelope[list[str]], "label values", post=False)
        return tuple(envelope.data)

    async def targets(self) -> tuple[Target, ...]:
        """What is scraped, and how it went. Mimir scrapes nothing and refuses."""
        envelope = await self._ask("targets", {"state": "active"}, Envelope[Targets], "targets", post=False)
        return self._convert(Targets.as_targets, envelope.data, "targets")

    async def alertmanagers(self) -> tuple[str, ...]:
        """Addresses to which alerts are sent. Mimir says that in another way and refuses."""
        envelope = await self._ask("alertmanagers", {}, Envelope[Alertmanagers], "alertmanagers", post=False)
        return tuple(one.url for one in envelope.data.active_alertmanagers or ())

    # ------------------------------------------------------------------------------------------------------- status

    async def retention(self) -> str:
        """How long or how much it keeps, in its own words: `15d`, `15d or 50GiB`; "" where it does not say."""
        envelope = await self._ask("status/runtimeinfo", {}, Envelope[RuntimeInfo], "runtime information", post=False)
        return envelope.data.storage_retention[:60]

    async def build_info(self) -> BuildInfo:
        build = (await self._ask("status/buildinfo", {}, Envelope[Build], "build info")).data
        product = build.application.removeprefix("Grafana ") or "Prometheus"
        return BuildInfo(product, build.version, build.revision)

    async def ready(self) -> bool:
        """Does it answer queries? Mimir's own readiness stands elsewhere; its build information will do."""
        answer = await self.http.probe("/-/ready", operation="readiness")
        if answer.status == 404:
            answer = await self.http.probe("/api/v1/status/buildinfo", operation="readiness")
        return answer.status == 200

    # ------------------------------------------------------------------------------------------------------- asking

    async def _ask(
        self,
        route: str,
        params: Mapping[str, str] | list[tuple[str, str]],
        shape: type[Envelope[T]],
        operation: str,
        *,
        post: bool = True,
        deadline_s: float | None = None,
        empty: T | None = None,
    ) -> Envelope[T]:
        """The envelope of an answer. empty: what a 204 stands for, where the route may send one."""
        pairs = list(params.items()) if isinstance(params, Mapping) else params
        form = post and sum(len(name) + len(value) for name, value in pairs) > _LONGEST_GET
        return await self.http.read_json(
            f"/api/v1/{route}", pairs, shape, operation=operation, form=form, deadline_s=deadline_s,
            empty=None if empty is None else Envelope(empty),
        )  # fmt: skip

    def _convert(self, convert: Callable[[T], R], value: T, operation: str) -> R:
        try:
            return convert(value)
        except InvalidInput as error:
            if error.field:
                raise
            raise self._odd(operation, error) from None
        except (ValueError, OverflowError) as error:
            raise self._odd(operation, error) from None

    def _odd(self, operation: str, error: Exception) -> SourceError:
        return self.http.unreadable(operation, "Prometheus answered with values that its API does not promise.", str(error))


def _matching(match: Iterable[str], start_ns: int | None, end_ns: int | None) -> list[tuple[str, str]]:
    params = [("match[]", selector) for selector in match]
    if start_ns is not None and end_ns is not None:
        params += [("start", promql.seconds(start_ns)), ("end", promql.seconds(end_ns))]
    return params


def _joined(results: Iterable[QueryResult]) -> QueryResult:
    """Answers about one stretch of time after another as one; a sample that two of them hold counts once."""
    results = list(results)
    if len(results) == 1:
        return results[0]
    by_labels: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for series in itertools.chain.from_iterable(result.series for result in results):
        samples = by_labels.setdefault(tuple(sorted(series.labels.items())), [])
        last_ns = samples[-1].time_ns if samples else -1
        samples.extend(sample for sample in series.samples if sample.time_ns > last_ns)
    return QueryResult(
        tuple(Series(dict(labels), tuple(samples)) for labels, samples in by_labels.items()),
        tuple(dict.fromkeys(warning for result in results for warning in result.warnings)),
    )


_KINDS = {
    "bad_data": "Prometheus does not accept the {}",
    "execution": "Prometheus could not evaluate the {}",
    "not_found": "Prometheus does not know what the {} asks for",
}


def _refusal(answer: Answer, operation: str, clean: Clean) -> SourceError | None:
    """What the error type in Prometheus' envelope means."""
    if "json" not in answer.media_type:
        return None
    try:
        told = msgspec.json.decode(answer.body, type=ErrorEnvelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    detail = clean(told.error)
    reason = f": {detail[:200].rstrip('.')}." if detail else "."
    if told.error_type in _KINDS:
        return SourceRefused("Prometheus", operation, _KINDS[told.error_type].format(operation) + reason, detail=detail)
    if told.error_type in ("timeout", "canceled"):
        return SourceUnavailable("Prometheus", operation, f"Prometheus gave up on the {operation}{reason}", detail=detail)
    if told.error_type in ("internal", "unavailable"):
        return SourceUnavailable("Prometheus", operation, f"Prometheus failed on the {operation}{reason}", detail=detail)
    return None
