"""By how much counters rose in a window, where a new series may be news or only newly seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import re2

from app.investigation.completeness import counted
from app.sources import promql
from app.sources.prometheus import PrometheusClient
from app.sources.values import Series
from app.times import SECOND

_POINTS = 120
_MOST_INSTANCES = 100

Alive = Mapping[tuple[str, str], int]


def step(start_ns: int, end_ns: int) -> int:
    """The distance of samples to ask for, in nanoseconds."""
    return max(5 * SECOND, (end_ns - start_ns) // _POINTS // SECOND * SECOND)


async def alive(prometheus: PrometheusClient, counters: Sequence[Series], start_ns: int, end_ns: int) -> Alive:
    """Since when in the window the targets of these counters were scraped, by job and instance.

    Where there are too many to ask about, nothing is known of any, and no new series counts as a rise.
    Errors: SourceError.
    """
    instances = sorted({one.labels["instance"] for one in counters if one.labels.get("instance")})
    if not instances or len(instances) > _MOST_INSTANCES:
        return {}
    pattern = promql.quote("|".join(re2.escape(instance) for instance in instances))
    up = f"up{{instance=~{pattern}}} == 1"
    answer = await prometheus.query_range(up, start_ns, end_ns, step(start_ns, end_ns) / SECOND)
    return {_target(one): one.samples[0].time_ns for one in answer.series if one.samples}


def rise(series: Series, since: Alive, start_ns: int, step_ns: int) -> int:
    """How much one counter rose.

    A counter that appears at 400 rose by 400 if its target was scraped before without it. If the scraping itself began
    then, the 400 may be years old.
    """
    if not series.samples:
        return 0
    born_ns = series.samples[0].time_ns
    seen_before = since.get(_target(series), born_ns) < born_ns
    return counted([series], start_ns=start_ns if seen_before else born_ns, step_ns=step_ns)


def _target(series: Series) -> tuple[str, str]:
    return series.labels.get("job", ""), series.labels.get("instance", "")
