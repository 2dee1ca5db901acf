"""Loading a trace: CPU time from bytes to repaired tree and to verdict, as multiples of the least it could take; memory.

The least (benchmarks/_floor.py) and the whole are measured turn about: a ratio is the median of the rounds' own, so that a busy
machine is busy for both; milliseconds are the best of all rounds.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from app.analysis.examine import examine
from app.analysis.rulebook import shipped
from app.traces import build, garbage, otlp
from app.traces.model import Trace
from benchmarks import _floor, _trace

MOST_TREE, MOST_VERDICT = 1.8, 2.5
MOST_BYTES_PER_SPAN = 8192
# The browser's own work for a trace of that size in Jaeger UI 2.20, in ms on another machine of this class: parsing,
# transforming and reading the fields. Best of several, on the same shape of trace.
JAEGER_UI_MS = {10_000: 294, 100_000: 2_590}
ROUNDS = {1_000: 60, 10_000: 15, 100_000: 5}


def main(quick: bool = False) -> None:
    _speed([1_000, 10_000] if quick else [1_000, 10_000, 100_000])
    _memory(10_000 if quick else 100_000)


def _speed(counts: list[int]) -> None:
    shipped()
    print("CPU ms, and multiples of the floor: typed decode + one object a span + siblings sorted")
    print(
        f"  {'spans':>7s} {'decode':>8s} {'floor':>8s} {'tree':>8s} {'verdict':>8s} {'tree/f':>7s} {'all/f':>7s}  Jaeger UI/all"
    )
    for count in counts:
        body = _trace.body_of(count)
        trace = _tree(body)
        rounds = _rounds(
            ROUNDS[count],
            (partial(_floor.decode, body), False),
            (partial(_floor.tree, body), False),
            (partial(_tree, body), True),
            (partial(examine, trace), True),
        )
        bare, floor, tree, verdict = (min(spent) for spent in zip(*rounds, strict=True))
        to_tree = median(tree / floor for _, floor, tree, _ in rounds)
        to_verdict = median((tree + verdict) / floor for _, floor, tree, verdict in rounds)
        row = f"  {count:7,d} {bare:8.1f} {floor:8.1f} {tree:8.1f} {verdict:8.1f} {to_tree:7.2f} {to_verdict:7.2f}"
        print(f"{row} {JAEGER_UI_MS[count] / (tree + verdict):14.1f}" if count in JAEGER_UI_MS else row, flush=True)
    print(f"  goals: tree/f at most {MOST_TREE}, all/f at most {MOST_VERDICT}")


def _tree(body: bytes) -> Trace:
    return build.build(otlp.decode(body))


def _rounds(count: int, *works: tuple[Callable[[], object], bool]) -> list[list[float]]:
    """CPU milliseconds of each, taken turn about; the flag lets the collector of cycles in, as a server does."""
    rounds: list[list[float]] = []
    thresholds = gc.get_threshold()
    gc.collect()
    garbage.seldom()  # as `clew serve`
    try:
        for _ in range(count):
            rounds.append([])
            for work, collected in works:
                gc.collect()
                (gc.enable if collected else gc.disable)()
                begun = time.process_time()
                kept = work()
                rounds[-1].append((time.process_time() - begun) * 1000)
                del kept
                gc.enable()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return rounds


def _memory(count: int) -> None:
    """In a process of its own, as the server holds it: the same trace twice, to tell what is kept once from what leaks."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(_trace.body_of(count))
        file.flush()
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks._memory", file.name], capture_output=True, text=True, check=True
        )
    before, peak, held, first, second = (int(figure) for figure in ran.stdout.split())
    print(f"\nresident memory of {count:,} spans, bytes a span above the {before / 2**20:.0f} MB of the program")
    print(f"  at the peak {(peak - before) / count:,.0f} (goal {MOST_BYTES_PER_SPAN:,}), with bytes, tree and verdict held "
          f"{(held - before) / count:,.0f}, once let go {(first - before) / count:,.0f}")  # fmt: skip
    print(f"  the program after the first trace {first / before:.2f} of itself (its patterns compiled for what they met), "
          f"after the second {second / first:.2f} of that (goal 1.2)")  # fmt: skip
