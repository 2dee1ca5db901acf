"""Values to Plotly figures, as plain data.

Colours are names of CSS variables ("$ink", "$ink/6" for 6 percent) that static/js/chart.js reads from the page, so that a
figure fits both themes. Plotly takes labels for markup (a user called `<a href=...>` would become a link), so every label
that telemetry wrote passes `label`. Times are milliseconds in UTC: a picture never shifts with its reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from markupsafe import escape

from app.sources.values import AlertState, Exemplar, Interval, Series
from app.times import MILLISECOND, SECOND, UnixNanos, format_duration
from app.web.formats import clock, count, cut, day, figure

Window = tuple[UnixNanos, UnixNanos]

_TRACE_ID = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
# One series is ink; more are told apart by weight and dash, since colour is kept for verdicts.
_LINES = (("$ink", "solid"), ("$ink-2", "dash"), ("$ink-3", "dot"), ("$mute-fill", "dashdot"))
_MOST_SERIES = 12


def label(text: object, limit: int = 80) -> str:
    """Text for a place where Plotly would read markup."""
    return str(escape(cut(text, limit)))


def layout(window: Window) -> dict[str, Any]:
    """The template of every chart on a clock: horizontal grid only, no axis lines, no title inside."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 44, "r": 8, "t": 8, "b": 24},
        "bargap": 0.24,
        "showlegend": False,
        "dragmode": "zoom",
        # The nearest point alone: a click on a ring must mean that ring.
        "hovermode": "closest",
        "hoverdistance": 12,
        "hoverlabel": {"bgcolor": "$surface", "bordercolor": "$line-2", "font": {"color": "$ink", "size": 12}, "align": "left"},
        "xaxis": {
            "type": "date",
            "range": [_ms(window[0]), _ms(window[1])],
            "tickformat": "%H:%M" if window[1] - window[0] < 36 * 3600 * SECOND else "%-d %b",
            "hoverformat": "%-d %b, %H:%M:%S UTC",
            "showgrid": False,
            "ticklabelstandoff": 4,
            "zeroline": False,
            "showline": False,
            "fixedrange": False,
        },
        "yaxis": {
            "gridcolor": "$line",
            "ticklabelstandoff": 6,
            "zeroline": False,
            "showline": False,
            "rangemode": "tozero",
            "nticks": 5,
            "fixedrange": True,
            "separatethousands": True,
        },
    }


def alert_chart(
    series: Sequence[Series],
    threshold: float | None,
    intervals: Sequence[Interval],
    exemplars: Sequence[Exemplar],
    window: Window,
    key: str = "",
) -> dict[str, Any]:
    """The metric that tripped an alert, with its threshold, when it fired, and exemplars that link to their traces.

    Units: window and all times in Unix nanoseconds; values as the rule has them.
    Shape: any number of series; of more than twelve the twelve with the highest peaks are drawn (the page says so).
           key is the alert's, to which the page of an exemplar's trace leads back.
    """
    if threshold is not None and not math.isfinite(threshold):
        threshold = None
    drawn = sorted(series, key=_peak, reverse=True)[:_MOST_SERIES]
    data = [_line(one, index) for index, one in enumerate(drawn)]
    if len(drawn) == 1:
        data.append(_area(data[0]))
    if exemplars:
        data.append(_exemplars(exemplars, window, key))
    shapes, annotations = _states(intervals, window)
    if threshold is not None:
        shapes.append(
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": threshold, "y1": threshold,
             "line": {"color": "$ink", "width": 1, "dash": "5px,4px"}}
        )  # fmt: skip
        annotations.append(
            {"text": f"threshold {figure(threshold)}", "xref": "paper", "x": 1, "xanchor": "right", "yref": "y", "y": threshold,
             "yanchor": "bottom", "showarrow": False, "font": {"size": 12, "color": "$ink-2"}}
        )  # fmt: skip
    whole = layout(window)
    whole["margin"]["b"] = 44
    whole["shapes"] = shapes
    whole["annotations"] = annotations
    whole["yaxis"]["range"] = [0, _top(drawn, threshold)] if _is_positive(drawn, threshold) else None
    return {"data": data, "layout": whole}


def alert_words(series: Sequence[Series], threshold: float | None, intervals: Sequence[Interval], window: Window) -> str:
    """What the picture shows, as a sentence for those who do not see it."""
    points = [(sample.value, sample.time_ns) for one in series for sample in one.samples if math.isfinite(sample.value)]
    if not points:
        return f"No values between {clock(window[0])} and {clock(window[1])} UTC."
    high, high_at = max(points)
    low = min(points)[0]
    parts = [f"Between {figure(low)} and {figure(high)}; the highest at {clock(high_at)} UTC on {day(high_at)}."]
    if threshold is not None:
        parts.append(f"The threshold is {figure(threshold)}.")
    firing = [one for one in intervals if one.state is AlertState.FIRING]
    if firing:
        spans = ", ".join(f"{clock(one.start_ns)} to {clock(one.end_ns) if one.end_ns else 'now'}" for one in firing[:5])
        more = f" and {count(len(firing) - 5)} more times" if len(firing) > 5 else ""
        parts.append(f"It fired {spans}{more}.")
    return " ".join(parts)


def series_name(labels: dict[str, str]) -> str:
    """A series as Prometheus writes it: name{label="value"}."""
    inner = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return labels.get("__name__", "") + (f"{{{inner}}}" if inner else "") or "value"


def _line(one: Series, index: int) -> dict[str, Any]:
    colour, dash = _LINES[index % len(_LINES)]
    times, values = _with_breaks(one)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(series_name(one.labels), 120),
        "x": times,
        "y": values,
        "line": {"color": colour, "width": 1.75, "dash": dash},
        "connectgaps": False,
    }


def _area(line: dict[str, Any]) -> dict[str, Any]:
    """The ground below a line. At a hole it goes down to zero and comes up again: a fill spans what a line leaves out."""
    points: list[tuple[int, float]] = []
    after_hole = False
    for time, value in zip(line["x"], line["y"], strict=True):
        if value is None:
            after_hole = bool(points)
            continue
        if after_hole:
            points += [(points[-1][0], 0), (time, 0)]
            after_hole = False
        points.append((time, value))
    return {
        "type": "scatter", "mode": "none", "hoverinfo": "skip", "fill": "tozeroy", "fillcolor": "$ink/6",
        "x": [time for time, _ in points], "y": [value for _, value in points],
    }  # fmt: skip


def _with_breaks(one: Series) -> tuple[list[int], list[float | None]]:
    """Points, with a hole where the series has one: a line drawn across would claim values nobody measured."""
    times = [_ms(sample.time_ns) for sample in one.samples]
    values = [sample.value if math.isfinite(sample.value) else None for sample in one.samples]
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    if not steps:
        return times, values
    usual = steps[len(steps) // 2]
    with_holes: list[tuple[int, float | None]] = []
    for time, value in zip(times, values, strict=True):
        if with_holes and time - with_holes[-1][0] > 1.5 * usual:
            with_holes.append((with_holes[-1][0] + usual, None))
        with_holes.append((time, value))
    return [time for time, _ in with_holes], [value for _, value in with_holes]


def _exemplars(exemplars: Sequence[Exemplar], window: Window, key: str) -> dict[str, Any]:
    back = f"?alert={quote(key, safe='')}" if key else ""
    shown = [one for one in exemplars if window[0] <= one.time_ns <= window[1] and math.isfinite(one.value)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "exemplar",
        "x": [_ms(one.time_ns) for one in shown],
        "y": [one.value for one in shown],
        # Only a well-formed id becomes a link; chart.js follows nothing else.
        "customdata": [f"/traces/{one.trace_id}{back}" if _TRACE_ID.fullmatch(one.trace_id) else "" for one in shown],
        "text": [label(one.trace_id[:8]) for one in shown],
        "hovertemplate": "trace %{text}<extra></extra>",
        "marker": {"size": 8, "color": "$surface", "line": {"color": "$ink", "width": 1.5}},
    }


def _states(intervals: Sequence[Interval], window: Window) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Firing as a pale field behind, and the strip below the axis: grey, amber while pending, red while firing."""
    strip = {"type": "rect", "xref": "paper", "yref": "paper", "y0": -0.2, "y1": -0.168, "line": {"width": 0}, "layer": "above"}
    shapes: list[dict[str, Any]] = [{**strip, "x0": 0, "x1": 1, "fillcolor": "$line-2"}]
    annotations: list[dict[str, Any]] = []
    for one in intervals:
        start, end = max(one.start_ns, window[0]), min(one.end_ns or window[1], window[1])
        if end <= start or one.state not in (AlertState.PENDING, AlertState.FIRING):
            continue
        where = {"x0": _ms(start), "x1": _ms(end)}
        fires = one.state is AlertState.FIRING
        shapes.append({**strip, **where, "xref": "x", "fillcolor": "$deny-fill" if fires else "$error-fill"})
        if not fires:
            continue
        field = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below"}
        shapes.append({**field, **where, "fillcolor": "$ink/5"})
        if (end - start) > (window[1] - window[0]) // 10:
            lasted = format_duration(end - start) if one.end_ns else f"for {format_duration(end - start)}"
            annotations.append(
                {"text": f"firing {lasted}", "xref": "x", "x": _ms(start), "xanchor": "left", "xshift": 8, "yref": "paper",
                 "y": 0, "yanchor": "bottom", "showarrow": False, "font": {"size": 12, "color": "$ink"}}
            )  # fmt: skip
    return shapes, annotations


def _values(series: Sequence[Series]) -> list[float]:
    return [sample.value for one in series for sample in one.samples if math.isfinite(sample.value)]


def _peak(one: Series) -> float:
    return max((sample.value for sample in one.samples if math.isfinite(sample.value)), default=-math.inf)


def _is_positive(series: Sequence[Series], threshold: float | None) -> bool:
    return all(value >= 0 for value in [*_values(series), threshold or 0])


def _top(series: Sequence[Series], threshold: float | None) -> float:
    # A little air above the highest point, so that threshold words and exemplar rings are not cut.
    return max([*_values(series), threshold or 0, 0.0]) * 1.12 or 1.0


def _ms(ns: int) -> int:
    return ns // MILLISECOND
