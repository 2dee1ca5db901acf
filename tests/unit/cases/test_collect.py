from __future__ import annotations

import pytest
from support import case_samples as sample

from app.cases import preserve
from app.errors import NotFound, SourceUnavailable, SourceUnreadable
from app.investigation.opened import Opened
from app.sources.values import BuildInfo


class Traces:
    """Opens one trace; `down` is what the backend does when asked anew."""

    def __init__(self, down: Exception | None = None, kept: bool = True) -> None:
        self.down, self.kept, self.asked = down, kept, []

    async def open(self, trace_id: str, *, fresh: bool = False) -> Opened:
        self.asked.append(fresh)
        if self.down and (fresh or not self.kept):
            raise self.down
        one = sample.capture()
        return Opened(one.trace, one.received, one.verdict)


class Backend:
    def __init__(self, answer: BuildInfo | Exception) -> None:
        self.answer = answer

    async def build_info(self) -> BuildInfo:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


DOWN = SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s.")


async def test_what_the_backend_has_now_is_collected():
    traces = Traces()
    capture = await preserve.collect(traces, sample.TRACE_ID, backend="Tempo 3.0.3")
    assert traces.asked == [True]
    assert capture.received.body == sample.body()
    assert (capture.backend, capture.query) == ("Tempo 3.0.3", "trace by id")
    assert capture.verdict.outcome == "bypassed"


async def test_a_trace_that_a_page_has_just_shown_can_be_kept_though_its_backend_is_down():
    traces = Traces(DOWN)
    capture = await preserve.collect(traces, sample.TRACE_ID)
    assert traces.asked == [True, False]
    assert capture.received.body == sample.body()


async def test_a_backend_that_is_down_or_without_the_trace_says_so():
    with pytest.raises(SourceUnavailable):
        await preserve.collect(Traces(DOWN, kept=False), sample.TRACE_ID)
    gone = Traces(NotFound("Tempo has no such trace."))
    with pytest.raises(NotFound):
        await preserve.collect(gone, sample.TRACE_ID)
    assert gone.asked == [True]


async def test_another_trace_than_the_one_asked_for_is_no_evidence():
    with pytest.raises(SourceUnreadable, match="another trace"):
        await preserve.collect(Traces(), "ab")


async def test_a_version_is_told_where_it_is_known():
    assert await preserve.version_of(Backend(BuildInfo("Tempo", "3.0.3"))) == "Tempo 3.0.3"
    assert await preserve.version_of(Backend(BuildInfo("Tempo", ""))) == "Tempo"
    assert await preserve.version_of(Backend(DOWN)) == ""
