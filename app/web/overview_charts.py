"""The overview's figures, as plain data for Plotly (see web/charts.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from app.investigation.overview.figures import Durations, Point, StepRow, Success
from app.times import MILLISECOND, UnixNanos
from app.web.charts import Window, label, layout
from app.web.formats import flat

BAR_PX = 28
_LONGEST_TICK = 34
_Figure = dict[str, Any]


def success_chart(found: Success, window: Window, step_ns: int) -> _Figure:
    """Above, the shares that succeeded; below, how many were refused: a share of few is another thing than one of many."""
    curves = (("log-ins", found.logins, "$ink", "solid"), ("other checks", found.others, "$ink-2", "dash"))
    data: list[_Figure] = [_curve(name, points, colour, dash) for name, points, colour, dash in curves]
    refused = [a.failed + b.failed for a, b in zip(found.logins, found.others, strict=True)]
    times = [point.time_ns // MILLISECOND for point in found.logins]
    data.append(
        {"type": "bar", "name": "refused", "x": times, "y": [round(n) for n in refused], "yaxis": "y2",
         # Each stands for the step before its time.
         "offset": -0.9 * step_ns // MILLISECOND, "width": 0.8 * step_ns // MILLISECOND, "marker": {"color": "$deny-mass"},
         "hovertemplate": "%{y:,} refused<extra></extra>"}
    )  # fmt: skip
    whole = layout(window)
    whole["yaxis"] |= {"domain": [0.4, 1], "range": [0, 1.04], "tickformat": ".0%", "nticks": 3}
    whole["yaxis2"] = {**whole["yaxis"], "domain": [0, 0.28], "range": None, "tickformat": ",d", "nticks": 3, "anchor": "x"}
    if max(refused, default=0) < 4:
        whole["yaxis2"] |= {"dtick": 1}  # whole numbers, each once
    whole["xaxis"]["anchor"] = "y2"
    return {"data": data, "layout": whole}


def _curve(name: str, points: Sequence[Point], colour: str, dash: str) -> _Figure:
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "connectgaps": False,
        "x": [point.time_ns // MILLISECOND for point in points],
        "y": [point.share for point in points],
        "text": [f"{point.succeeded:,.0f} of {point.succeeded + point.failed:,.0f} {name}" for point in points],
        "hovertemplate": "%{y:.1%}, %{text}<br>until %{x|%H:%M} UTC<extra></extra>",
        "line": {"color": colour, "width": 1.75, "dash": dash},
        # A point without neighbours has no line to be seen by.
        "marker": {"color": colour, "size": 4},
    }  # fmt: skip


def bars(rows: Sequence[tuple[str, int, str, str]], colour: str = "$deny-mass") -> _Figure:
    """Rows from the top down: name, count, words beside the bar, and where a click on it leads ("" nowhere)."""
    places = list(range(len(rows)))
    data = {
        "type": "bar", "orientation": "h", "y": places, "x": [count for _, count, _, _ in rows],
        "text": [label(words) for _, _, words, _ in rows], "textposition": "outside", "cliponaxis": False,
        "textfont": {"color": "$ink-2", "size": 12}, "marker": {"color": colour},
        "customdata": [href for _, _, _, href in rows], "hovertext": [_shown(name, 120) for name, _, _, _ in rows],
        "hovertemplate": "%{hovertext}<br>%{text}<extra></extra>",
    }  # fmt: skip
    # Room at the right for the words of the longest bar.
    most = max((count for _, count, _, _ in rows), default=1)
    whole = _rows([name for name, _, _, _ in rows])
    whole["xaxis"] = _silent(most * 1.45)
    return {"data": [data], "layout": whole}


def latency_chart(rows: Sequence[StepRow]) -> _Figure:
    """For each step a line from the median to the slowest hundredth; its usual one below it, open and pale."""
    data = [
        *_spread([(place - 0.14 * bool(row.usual), row.step, row.now) for place, row in enumerate(rows)], "now", "$ink"),
        *_spread([(place + 0.2, row.step, row.usual) for place, row in enumerate(rows) if row.usual], "usual", "$ink-3"),
    ]
    whole = _rows([row.step for row in rows])
    values = [line for trace in data for line in trace["x"] if line]
    low, high = min(values, default=0.001), max(values, default=1.0)
    # Round numbers, of which about six fit the width.
    factors = (1, 2, 5) if high < low * 300 else (1,)
    ticks = [factor * 10.0**power for power in range(-6, 3) for factor in factors]
    whole["xaxis"] = {
        "type": "log", "range": [math.log10(low) - 0.15, math.log10(high) + 0.25], "gridcolor": "$line", "zeroline": False,
        "tickvals": ticks, "ticktext": [seconds(value) for value in ticks],
        "fixedrange": True, "showline": False,
    }  # fmt: skip
    whole["yaxis"]["showgrid"] = False
    whole["margin"]["b"] = 24
    return {"data": data, "layout": whole}


def _spread(rows: Sequence[tuple[float, str, Durations]], name: str, colour: str) -> list[_Figure]:
    """A line with a round end at p50 and a square one at p99; the usual is drawn open."""
    # A logarithm has no place for nothing: what took no time is drawn at a microsecond.
    known = [
        (y, step, (max(of.p50, 1e-6), max(of.p99, 1e-6)), (took(of.p50, of), took(of.p99, of)))
        for y, step, of in rows
        if of.p50 is not None and of.p99 is not None
    ]
    filled = name == "now"
    lines: _Figure = {
        "type": "scatter", "mode": "lines", "name": name, "hoverinfo": "skip",
        "x": [value for _, _, (p50, p99), _ in known for value in (p50, p99, None)],
        "y": [value for y, _, _, _ in known for value in (y, y, None)],
        "line": {"color": colour, "width": 1.75 if filled else 1, "dash": "solid" if filled else "dot"},
    }  # fmt: skip
    ends = [
        {
            "type": "scatter", "mode": "markers", "name": f"{name} {words}",
            "x": [row[2][which] for row in known], "y": [row[0] for row in known],
            "text": [f"{_shown(row[1], 120)}: {row[3][which]}" for row in known],
            "hovertemplate": f"%{{text}}<br>{words} {name}<extra></extra>",
            "marker": {"size": 9, "symbol": symbol, "color": colour if filled else "$surface",
                       "line": {"color": colour, "width": 1.5}},
        }
        for which, words, symbol in ((0, "p50", "circle"), (1, "p99", "square"))
    ]  # fmt: skip
    return [lines, *ends]


def took(value: float | None, of: Durations) -> str:
    """A quantile in words. Below the finest bound nothing more is known."""
    if value is None:
        return "none"
    return f"under {seconds(of.finest)}" if of.finest and value < of.finest else seconds(value)


def seconds(value: float) -> str:
    """A duration as bucket counts allow to tell it: two digits. 48 ms, 1.2 s"""
    for unit, size in (("s", 1.0), ("ms", 0.001), ("µs", 0.000_001)):
        if value >= size * 0.9995 or unit == "µs":
            amount = value / size
            return f"{amount:.2g} {unit}" if amount < 99.5 else f"{amount:.0f} {unit}"
    raise AssertionError


def _shown(name: str, limit: int) -> str:
    """A name that telemetry wrote, with its tricks visible and nothing that Plotly could read as markup."""
    return label(flat(name, limit), limit)


def _rows(names: Sequence[str]) -> _Figure:
    """A layout of named rows, the first at the top."""
    whole = layout((UnixNanos(0), UnixNanos(1)))
    whole["margin"] = {"l": 8, "r": 8, "t": 4, "b": 4}
    whole["yaxis"] = {
        "tickvals": list(range(len(names))), "ticktext": [_shown(name, _LONGEST_TICK) for name in names],
        "range": [len(names) - 0.5, -0.5], "fixedrange": True, "showgrid": False, "zeroline": False, "showline": False,
        "automargin": True, "ticklabelstandoff": 6, "tickfont": {"size": 12, "color": "$ink"},
    }  # fmt: skip
    return whole


def _silent(most: float) -> _Figure:
    return {"range": [0, most or 1], "showticklabels": False, "showgrid": False, "zeroline": False, "fixedrange": True}
