"""How long sources keep what they have, and whether they still have what open cases name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from app.doctor.facts import CaseTraces, Missing
from app.doctor.retention import OpenCase
from app.errors import InvalidInput, NotFound, SourceError
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import parse_duration

_MOST_CASES = 20
_MOST_TRACES = 20  # of each case
# In Tempo's own listing of its configuration, overrides and the compactor's: whichever is shorter is what happens.
_BLOCKS = re.compile(r"^\s*block_retention:\s*([0-9hms.]{1,30})\s*$", re.MULTILINE)


async def traces_for(tempo: TempoClient) -> int | Missing:
    """Nanoseconds for which traces are kept, by Tempo's configuration. A gateway often hides it."""
    silent = Missing("Tempo does not say here for how long it keeps traces: /status/config is not to be had.")
    try:
        answer = await tempo.http.probe("/status/config", operation="configuration")
    except SourceError:
        return silent
    if answer.status != 200:
        return silent
    lengths = []
    for text in _BLOCKS.findall(answer.text):
        try:
            lengths.append(parse_duration(text))
        except InvalidInput:
            continue
    kept = [length for length in lengths if length > 0]
    return min(kept) if kept else silent


async def metrics_for(prometheus: PrometheusClient) -> str | Missing:
    """In Prometheus' own words."""
    try:
        return await prometheus.retention() or Missing("Prometheus does not say for how long it keeps metrics.")
    except SourceError:
        return Missing("Prometheus does not say for how long it keeps metrics.")


async def case_traces(tempo: TempoClient, cases: Sequence[OpenCase]) -> tuple[CaseTraces, ...] | Missing:
    """Which of the traces that open cases name without a copy are still there."""
    slots = asyncio.Semaphore(4)

    async def begun(trace_id: str) -> int | None:
        async with slots:
            try:
                return (await tempo.trace(trace_id))[0].start_ns
            except NotFound:
                return None

    async def look(case: OpenCase) -> CaseTraces:
        wanted = case.unpreserved[:_MOST_TRACES]
        starts = await asyncio.gather(*(begun(trace_id) for trace_id in wanted))
        gone = tuple(trace_id for trace_id, start in zip(wanted, starts, strict=True) if start is None)
        return CaseTraces(case.name, case.opened_ns, len(wanted), gone, min((s for s in starts if s), default=None))

    try:
        return tuple(await asyncio.gather(*(look(case) for case in cases[:_MOST_CASES])))
    except SourceError as error:
        return Missing(error.sentence)
