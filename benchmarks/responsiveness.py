"""Responsiveness: how long the event loop keeps others waiting while the app fetches, judges and shows a large trace.

The whole app in one process, its Tempo in another. A clock in the app's own loop is due every 5 ms; the lag at each of these
moments is the time until the loop got round to it, so that a stall counts for every moment it lasted, not once. Of that time
only what this process spent on a processor counts: on a busy machine the rest is the company's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import TypeVar

from app.traces import garbage
from benchmarks import _trace
from benchmarks._percentile import percentile

T = TypeVar("T")

TESTS = Path(__file__).resolve().parents[1] / "tests"
SMALL, LARGE = f"{7:032x}", f"{8:032x}"
MOST_LAG_MS = 50.0
_DUE_S = 0.005


def main(quick: bool = False) -> None:
    sys.path.insert(0, str(TESTS))
    print(f"event loop, goal: lag p99 at most {MOST_LAG_MS:g} ms while the trace is loaded and shown")
    for count in (10_000,) if quick else (10_000, 100_000):
        with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
            folder = Path(name)
            with _tempo(folder / "tempo", count) as url:
                asyncio.run(_ask(folder, url, count))


@contextlib.contextmanager
def _tempo(folder: Path, count: int) -> Iterator[str]:
    folder.mkdir()
    for id_, spans in ((SMALL, 100), (LARGE, count)):
        (folder / id_).write_bytes(_trace.body_of(spans, int(id_, 16)))
    process = subprocess.Popen([sys.executable, "-m", "benchmarks._answer", str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


async def _ask(folder: Path, url: str, count: int) -> None:
    from support import site

    async with site.open(folder, tempo={"url": url, "max_response_bytes": 2**29, "timeout_s": 60}) as here:
        browser = await here.as_("viewer")
        (await browser.get(f"/traces/{SMALL}")).raise_for_status()  # what is compiled once is compiled
        gc.collect()
        garbage.seldom()  # as `clew serve`
        await _watched(f"{count:7,d} spans, at rest", asyncio.sleep(2))
        for what in ("loaded and shown", "shown again"):
            answer = await _watched(f"{count:7,d} spans, {what}", browser.get(f"/traces/{LARGE}"))
            answer.raise_for_status()


async def _watched(what: str, work: Awaitable[T]) -> T:
    own: list[float] = []
    wall: list[float] = []
    clock = asyncio.create_task(_clock(own, wall))
    begun, spent = time.perf_counter(), time.process_time()
    try:
        return await work
    finally:
        seconds, spent = time.perf_counter() - begun, time.process_time() - spent
        await asyncio.sleep(_DUE_S)  # a stall to the very end is one as well
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
        lags = "  ".join(f"{name} {percentile(own, q) * 1000:5.1f}" for name, q in (("p50", 0.5), ("p99", 0.99), ("worst", 1)))
        others = f"(wall p99 {percentile(wall, 0.99) * 1000:.1f})"
        print(f"  {what:32s} {seconds:6.2f} s, CPU {spent:5.2f} s   lag in ms: {lags}  {others}", flush=True)


async def _clock(own: list[float], wall: list[float]) -> None:
    while True:
        due, spent = time.perf_counter() + _DUE_S, time.process_time()
        await asyncio.sleep(_DUE_S)
        late = time.perf_counter() - due
        caused = min(late, time.process_time() - spent)
        for lags, lag in ((own, caused), (wall, late)):
            lags.extend(lag - passed * _DUE_S for passed in range(1 + int(lag / _DUE_S)))
