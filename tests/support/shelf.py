"""A shelf of traces in place of Tempo: what stands on it can be opened, with the verdict told or judged for real."""

from __future__ import annotations

from typing import Any

from support import stories

from app.analysis.examine import examine
from app.analysis.verdict import Verdict
from app.errors import NotFound
from app.investigation.opened import OpenTraces
from app.sources.values import TraceBytes
from app.times import UnixNanos
from app.traces.model import Trace
from app.traces.otlp import encode_json


class Shelf:
    """shelf = Shelf(app); shelf.put(trace, verdict); then /traces/{shelf's id} is its page."""

    def __init__(self, app: Any) -> None:
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self._traces: dict[str, tuple[Trace, Verdict | None]] = {}
        app.state.traces = OpenTraces(self._fetch, self._judge)

    def put(self, trace: Trace, verdict: Verdict | None = None, *, at: str = "") -> str:
        """Gives the trace's path. Without a verdict the trace is judged. at: an id of its own, where stories share one."""
        self._traces[at or trace.trace_id] = (trace, verdict)
        return f"/traces/{at or trace.trace_id}"

    async def _fetch(self, trace_id: str) -> tuple[Trace, TraceBytes]:
        self.asked.append(trace_id)
        if self.failure is not None:
            raise self.failure
        if trace_id not in self._traces:
            raise NotFound("no such trace")
        trace, _ = self._traces[trace_id]
        body = encode_json(node.span for node in trace.nodes)
        url = f"http://tempo:3200/api/v2/traces/{trace_id}"
        return trace, TraceBytes(trace_id, body, "application/json", url, "team-a", UnixNanos(stories.START + 10**9))

    def _judge(self, trace: Trace) -> Verdict:
        told = next((verdict for one, verdict in self._traces.values() if one is trace), None)
        return told if told is not None else examine(trace)
