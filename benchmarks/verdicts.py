"""Verdicts, how many a second: a campaign of small traces, from bytes to verdict.

Large ones are measured in loading.py; how right they are is told by baseline.py.
"""

from __future__ import annotations

import time

from app.analysis.examine import examine
from app.traces import build, otlp
from benchmarks import _trace

SPANS_EACH = 12


def main(quick: bool = False) -> None:
    _many(500 if quick else 10_000)


def _many(count: int) -> None:
    """A whole campaign, one small trace after the other on one core."""
    body = _trace.body_of(SPANS_EACH)
    begun = time.process_time()
    for _ in range(count):
        examine(build.build(otlp.decode(body)))
    spent = time.process_time() - begun
    print(f"{count:,} traces of {SPANS_EACH} spans: {spent:.1f} s CPU on one core, {spent / count * 1000:.2f} ms each")
