"""The overview: what is open, and the panels, each a figure with its table, its questions and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.analysis.verdict import Layer
from app.errors import SourceError
from app.investigation.asking import Window
from app.investigation.overview import figures, traces
from app.investigation.overview.figures import NamesRow, RefusalRow, SourceRow, StepRow, Success
from app.investigation.overview.service import Answer, Asked, Basis, Layers
from app.settings import Settings
from app.times import UnixNanos
from app.web import overview_charts as charts
from app.web import words
from app.web.formats import clock, count, day, flat
from app.web.views import links
from app.web.views import overview_asked as asking
from app.web.views.parts import Failure

_MOST_TABLE = 40
_BASIS = {
    Basis.METRICS: "From Prometheus: every check is counted, before traces are sampled.",
    Basis.TRACES: "From the traces in Tempo: what sampling left out is not counted.",
}
# What telemetry could not tell, in the labels' own words, as a person would say it.
_NO_SOURCE = {"": "not told", "unknown": "no address", "other": "not an address"}


@dataclass(frozen=True)
class Cell:
    """href: where it leads; name: telemetry wrote it; severity: shown as its three bars"""

    text: str
    href: str = ""
    num: bool = False
    name: bool = False
    severity: str = ""
    sub: str = ""


@dataclass(frozen=True)
class QueryView:
    """A question as it was asked, and where it can be asked again: words and address, the address of Clew's own beginning
    with a slash."""

    language: str
    query: str
    what: str
    runs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PanelView:
    """figure: None where there is nothing to draw; empty then says what is missing and how to get it.

    failure:  the source did not answer; other_href asks the other one
    rows:     the figure as a table; heads as ui.table has them
    notes:    what must be known before the figures are believed
    """

    key: str
    title: str
    href: str
    says: str = ""
    loaded: bool = True
    failure: Failure | None = None
    other: tuple[str, str] = ("", "")
    empty: tuple[str, str, tuple[tuple[str, str], ...]] | None = None
    figure: dict[str, Any] | None = None
    label: str = ""
    height: int = 200
    legend: tuple[tuple[str, str], ...] = ()
    heads: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    open_table: bool = False
    basis: str = ""
    notes: tuple[str, ...] = ()
    queries: tuple[QueryView, ...] = ()


TITLES = {
    "success": "What succeeds",
    "sources": "Refused, by source",
    "names": "Names tried, by source",
    "refusals": "Refused, by service and step",
    "layers": "Refused, by layer",
    "latency": "How long checks take",
    "alerts": "Open alerts",
    "cases": "Open cases",
}
SAYS = {
    "success": "share of the decided checks, and how many were refused",
    "sources": "the ten with most refusals; from metrics, also what part of their checks that is",
    "names": "different log-in names that failed",
    "refusals": "who said no, at which check",
    "layers": "by the verdicts on the newest refused traces",
    "latency": "median and slowest hundredth, against their usual",
}


@dataclass(frozen=True)
class Place:
    """Where a panel's answer is shown: its address, its time, and what the page can link to."""

    key: str
    asked: asking.Asked
    window: Window
    settings: Settings

    @property
    def href(self) -> str:
        return self.asked.href(f"/overview/{self.key}")

    def panel(self, **more: Any) -> PanelView:
        return PanelView(self.key, TITLES[self.key], self.href, SAYS.get(self.key, ""), **more)

    def failed(self, error: SourceError, there: tuple[Basis, ...]) -> PanelView:
        """The panel where its source did not answer, with the way to the other source where there is one."""
        basis = self.asked.basis(there)
        other = next((one for one in there if one is not basis), None)
        told = {Basis.METRICS: "Show the metrics instead", Basis.TRACES: "Show the traces instead"}
        leads = (told[other], self.asked.href(source=other.value)) if other and self.key != "layers" else ("", "")
        failure = Failure.of(error, still="Panels that do not ask it are not affected.", retry_href=self.asked.href())
        return self.panel(failure=failure, other=leads)

    def told(self, answer: Answer[Any], *notes: str, **more: Any) -> PanelView:
        """A panel with what its figures rest on; without figures, with why."""
        name = "Prometheus" if answer.basis is Basis.METRICS else "Tempo"
        warnings = tuple(text if name in text else f"{name}: {text}" for text in answer.warnings)
        queries = tuple(self._query(one) for one in answer.asked)
        more["label"] = flat(more.get("label", ""), 400)
        if more.get("rows") or more.get("empty"):
            return self.panel(
                basis=_BASIS[answer.basis], notes=(*(note for note in notes if note), *warnings), queries=queries, **more
            )
        return self.panel(basis=_BASIS[answer.basis], notes=warnings, queries=queries, empty=self._nothing(answer))

    def _nothing(self, answer: Answer[Any]) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        coverage = (("What is missing: Coverage", "/coverage"),)
        if not answer.present:
            told = (
                "Prometheus has no otel_security_calls_total, the span metrics of auth checks. "
                "The Collector of deploy/collector makes them of spans; Prometheus must scrape it."
                + (" The traces can be asked instead: “Figures from”, above." if self.settings.tempo.enabled else "")
            )
            return "No auth metrics", told, coverage
        when = window_words(self.window)
        if self.key in ("sources", "refusals", "names"):
            return f"Nothing was refused {when}", "The source answered; it counts no refused check there.", ()
        told = "The source answered; no span named auth.* and none with an auth.result is there."
        return f"No auth checks {when}", told, coverage

    def _query(self, one: Asked) -> QueryView:
        start, end = one.window.start_ns, one.window.end_ns
        grafana, runs = self.settings.grafana, []
        if one.language == "PromQL":
            runs.append(("Run in Prometheus", links.prometheus_graph(self.settings.prometheus.url, one.query, start, end)))
            runs.append(("Open in Grafana", links.grafana_metric(grafana, one.query, start, end)))
        else:
            runs.append(("Search these traces", asking.search_href(one.window, q=traces.traces_of(one.query))))
            runs.append(("Open in Grafana", links.grafana_traces(grafana, one.query, start, end)))
        return QueryView(one.language, one.query, one.what, tuple((told, href) for told, href in runs if href))


def window_words(window: Window) -> str:
    """`in the last 6 h`, or `from 21 Nov, 02:50 to 03:12 UTC`."""
    if window.last:
        return f"in the last {asking.LAST_WORDS[window.last]}"
    first, last = window.start_ns, window.end_ns
    until = clock(last)[:5] if day(first) == day(last) else f"{day(last)}, {clock(last)[:5]}"
    return f"from {day(first)}, {clock(first)[:5]} to {until} UTC"


# ----------------------------------------------------------------------------------------------------------- panels


def sources_panel(place: Place, answer: Answer[tuple[SourceRow, ...]]) -> PanelView:
    rows = answer.figures
    metrics = answer.basis is Basis.METRICS
    drawn = [
        (source_words(row.source), row.failed, f"{count(row.failed)}{f', {percent(row.share)}' if metrics else ''}",
         _source_href(place, row.source))
        for row in rows
    ]  # fmt: skip
    first = rows[0] if rows else None
    shares = f", {percent(first.share)} of its checks" if first and metrics else ""
    table = tuple(
        (
            Cell(source_words(row.source), _source_href(place, row.source), name=True),
            Cell(count(row.failed), num=True),
            *(
                (Cell(count(row.succeeded or 0), num=True), Cell(percent(row.share), num=True))
                if metrics
                else ()
            ),
        )
        for row in rows
    )  # fmt: skip
    return place.told(
        answer,
        "" if metrics else "How often a source succeeded is not told: successes are sampled.",
        figure=charts.bars(drawn),
        label=f"Most refusals: {source_words(first.source)}, {count(first.failed)}{shares}." if first else "",
        height=_bars_px(rows),
        heads=(("Source", ""), ("Refused", "num"), *((("Succeeded", "num"), ("Refused of decided", "num")) if metrics else ())),
        rows=table,
    )


def names_panel(place: Place, answer: Answer[tuple[NamesRow, ...]]) -> PanelView:
    rows = answer.figures
    metrics = answer.basis is Basis.METRICS
    drawn = [
        (source_words(row.source), row.estimate or row.least, _names(row, metrics), _source_href(place, row.source))
        for row in rows
    ]
    told = (
        "Estimated: metrics hold no names, they count which of 256 slices of all names failed."
        if metrics
        else "Counted by the hash or name on the span of a log-in; log-ins without one count for none."
    )
    return place.told(
        answer,
        told,
        figure=charts.bars(drawn, "$mute-fill"),
        label=f"Most names: {source_words(rows[0].source)}, {_names(rows[0], metrics)}." if rows else "",
        height=_bars_px(rows),
        heads=(("Source", ""), ("Names", "num"), *((("At least", "num"),) if metrics else ())),
        rows=tuple(
            (
                Cell(source_words(row.source), _source_href(place, row.source), name=True),
                Cell(_names(row, metrics), num=True),
                *((Cell(count(row.least), num=True),) if metrics else ()),
            )
            for row in rows
        ),
    )


def refusals_panel(place: Place, answer: Answer[tuple[RefusalRow, ...]]) -> PanelView:
    rows = answer.figures

    def href(row: RefusalRow) -> str:
        return asking.search_href(place.window, service=row.service, ended="refused") if row.service else ""

    drawn = [(f"{row.service or 'not told'} {row.step}", row.failed, count(row.failed), href(row)) for row in rows]
    return place.told(
        answer,
        figure=charts.bars(drawn),
        label=f"Most refusals: {rows[0].service} {rows[0].step}, {count(rows[0].failed)}." if rows else "",
        height=_bars_px(rows),
        heads=(("Service", ""), ("Step", ""), ("Refused", "num")),
        rows=tuple(
            (
                Cell(row.service or "not told", href(row), name=True),
                Cell(row.step or "not told", name=True),
                Cell(count(row.failed), num=True),
            )
            for row in rows
        ),
    )


def layers_panel(place: Place, answer: Answer[Layers]) -> PanelView:
    told = answer.figures

    def href(layer: Layer) -> str:
        return asking.search_href(place.window, ended="refused", layer=layer.value)

    judged = sum(n for _, n in told.layers)
    seen = "the newest of more" if told.more else "all there are"
    notes = (
        f"{count(told.looked_at)} refused {'trace' if told.looked_at == 1 else 'traces'} looked at, {seen}.",
        f"{count(told.waiting)} still to be judged." if told.waiting else "",
        f"In {count(told.otherwise)} a check refused, and the request was not refused." if told.otherwise else "",
    )
    more: dict[str, Any] = {}
    if told.looked_at and not judged:
        more["empty"] = ("No verdict names a layer", "See the traces themselves; verdicts may still be coming.", ())
    rows = told.layers
    return place.told(
        answer,
        *notes,
        figure=charts.bars([(words.LAYER[layer], n, f"{count(n)} of {count(judged)}", href(layer)) for layer, n in rows]),
        label=f"Most refusals: {words.LAYER[rows[0][0]]}, {count(rows[0][1])} of {count(judged)} verdicts." if rows else "",
        height=_bars_px(rows),
        heads=(("Layer", ""), ("Traces", "num")),
        rows=tuple((Cell(words.LAYER[layer], href(layer)), Cell(count(n), num=True)) for layer, n in rows),
        **more,
    )


def success_panel(place: Place, answer: Answer[Success]) -> PanelView:
    found, step = answer.figures, answer.asked[0].step_ns
    both = (("Log-ins", found.logins), ("Other checks", found.others))
    sums = [(name, figures.summed(points)) for name, points in both]
    broken = round(sum(one.broken for _, one in sums))
    spoken = "; ".join(
        f"{name}: {percent(one.share)} of {count(round(one.succeeded + one.failed))} succeeded"
        for name, one in sums
        if one.share is not None
    )
    rows = () if found.is_empty else tuple(
        (
            Cell(f"{day(login.time_ns)}, {clock(login.time_ns)[:5]}"),
            *(
                cell
                for point in (login, other)
                for cell in (Cell(percent(point.share), num=True), Cell(count(round(point.failed)), num=True))
            ),
        )
        for login, other in list(zip(found.logins, found.others, strict=True))[::-1]
        if login.share is not None or other.share is not None
    )  # fmt: skip
    return place.told(
        answer,
        f"{spoken}." if spoken else "",
        f"{count(broken)} {'check' if broken == 1 else 'checks'} broke and decided nothing: in no share." if broken else "",
        "Successes are sampled away before refusals: the true shares are higher." if answer.basis is Basis.TRACES else "",
        figure=charts.success_chart(found, (place.window.start_ns, _end(place, found)), step),
        label=f"{spoken}.",
        height=232,
        legend=(("line", "log-ins that succeed"), ("dash", "other checks that succeed"), ("mass", "refused, both together")),
        heads=(("Until, UTC", ""), ("Log-ins", "num"), ("refused", "num"), ("Other checks", "num"), ("refused", "num")),
        rows=rows[:_MOST_TABLE],
    )


def _end(place: Place, found: Success) -> UnixNanos:
    """Where the picture ends: a step that is not over reaches beyond the window."""
    return max((place.window.end_ns, *(point.time_ns for point in found.logins[-1:])))


def latency_panel(place: Place, answer: Answer[tuple[StepRow, ...]]) -> PanelView:
    rows = answer.figures[:10]
    without = [row.step for row in rows if row.usual is None]
    usual = dict.fromkeys(row.baseline for row in rows if row.baseline)
    if not rows:
        against = ""
    elif usual:
        against = f"Usual: the same time {' or '.join(usual)}."
    else:
        against = (
            "Nothing to hold them against: neither a week before nor the day before were there "
            f"{figures.FEWEST_USUAL} checks of a step in the same time."
        )
    if without and usual:
        against += f" None for {len(without)} of {len(rows)} steps."
    return place.told(
        answer,
        against,
        "Tempo's buckets double: a figure may be off by a third." if answer.basis is Basis.TRACES else "",
        figure=charts.latency_chart(rows),
        label="; ".join(
            f"{row.step}: {charts.took(row.now.p50, row.now)} median, {charts.took(row.now.p99, row.now)} p99"
            for row in rows[:4]
        ),
        height=36 + (44 if usual else 32) * len(rows),
        legend=(("line", "p50 (round) to p99 (square) now"), *((("ring", "usual"),) if usual else ())),
        heads=(
            ("Step", ""),
            ("Checks", "num"),
            ("p50", "num"),
            ("usual", "num"),
            ("p99", "num"),
            ("usual", "num"),
            ("against usual", "num"),
        ),
        rows=tuple(_latency_row(place, row) for row in rows),
        open_table=True,
    )


def _latency_row(place: Place, row: StepRow) -> tuple[Cell, ...]:
    usual, slower = row.usual, row.slower
    none = "none"
    return (
        Cell(row.step or "not told", name=True, sub=f"usual: {row.baseline}" if usual else ""),
        Cell(count(row.now.count), num=True),
        Cell(charts.took(row.now.p50, row.now), num=True),
        Cell(charts.took(usual.p50, usual) if usual else none, num=True),
        Cell(charts.took(row.now.p99, row.now), num=True),
        Cell(charts.took(usual.p99, usual) if usual else none, num=True),
        Cell(f"p99 × {slower:.2g}" if slower is not None else "", num=True),
    )


def _names(row: NamesRow, estimated: bool) -> str:
    if row.estimate is not None:
        return f"≈ {count(row.estimate)}"
    return f"over {count(figures.estimate(255) or 0)}" if estimated else count(row.least)


def _source_href(place: Place, source: str) -> str:
    return "" if source in _NO_SOURCE else asking.search_href(place.window, address=source, ended="refused")


def source_words(source: str) -> str:
    return _NO_SOURCE.get(source, source)


def percent(share: float | None) -> str:
    """Never 100 % where something failed, nor 0 % where something did not."""
    if share is None:
        return "none"
    if 0 < share < 0.001 or 0.999 < share < 1:
        return "under 0.1 %" if share < 0.5 else "over 99.9 %"
    return f"{share * 100:.1f} %" if share not in (0, 1) else f"{share * 100:.0f} %"


def _bars_px(rows: Sequence[object]) -> int:
    return 16 + charts.BAR_PX * max(1, len(rows))
