"""What searches share: the results of the last seconds, the names of services, the verdicts."""

from __future__ import annotations

import asyncio

from app.errors import SourceError
from app.investigation.judgements import Judged, Judgements, Unjudged
from app.investigation.shared import Shared
from app.sources.exhaustive import exhaustive_search
from app.sources.tempo import TempoClient
from app.sources.values import CompleteSearch

MOST_TRACES = 1_000
_SEARCH_S, _JUDGE_S = 20.0, 6.0
_RESULTS_S, _SERVICES_S = 60.0, 300.0


class Searching:
    """One per process; close it."""

    def __init__(self, tempo: TempoClient, judgements: Judgements) -> None:
        self._tempo = tempo
        self._judgements = judgements
        self._results: Shared[tuple[str, int, int], CompleteSearch] = Shared(most=32)
        self._services: Shared[str, tuple[str, ...]] = Shared(most=1)

    async def results(self, query: str, start_ns: int, end_ns: int) -> CompleteSearch:
        """All traces that match, up to a number and a time; what is left out is told with the result.

        Errors: SourceError, such as for a query that Tempo does not take.
        """

        async def ask() -> CompleteSearch:
            return await exhaustive_search(
                self._tempo, query, start_ns, end_ns, most_traces=MOST_TRACES, deadline_s=_SEARCH_S, spans_per_set=1
            )

        return await self._results.get((query, start_ns, end_ns), ask, ttl_s=_RESULTS_S)

    async def verdicts(self, found: CompleteSearch) -> dict[str, Judged | Unjudged]:
        """As many as there are by the deadline; judging goes on, and the next look finds more."""
        return await self._judgements.of([trace.trace_id for trace in found.traces], deadline_s=_JUDGE_S)

    async def services(self) -> tuple[str, ...]:
        """Names of services, to suggest them; none where Tempo does not tell in time."""

        async def ask() -> tuple[str, ...]:
            return tuple(sorted(one.value for one in await self._tempo.tag_values("resource.service.name")))[:500]

        try:
            return await asyncio.wait_for(self._services.get("", ask, ttl_s=_SERVICES_S), 2.0)
        except (SourceError, TimeoutError):
            return ()

    async def close(self) -> None:
        await self._results.close()
        await self._services.close()
