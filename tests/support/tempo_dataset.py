"""The data set that the real Tempo was fed before its answers in tests/data/tempo-answers were recorded.

213 traces of log-ins, orders, attacks and oddities, one OTLP/JSON export request per line, all within half an hour from
BASE_S. Servers under test may be fed it shifted by whole hours; their answers are shifted back before they are compared.
"""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from app.traces.model import Span
from app.traces.otlp import decode

BASE_S = 1_789_999_200
_FILE = Path(__file__).parents[1] / "data" / "tempo-dataset.otlp.jsonl.gz"
_NANOS = re.compile(rb"(?<![\dA-Fa-f])1[6-9]\d{17}(?!\d)")


@cache
def requests() -> list[bytes]:
    return gzip.decompress(_FILE.read_bytes()).splitlines()


def shifted(request: bytes, by_s: int) -> bytes:
    return _NANOS.sub(lambda found: str(int(found.group()) + by_s * 10**9).encode(), request)


@cache
def spans() -> list[Span]:
    return [span for request in requests() for span in decode(request, "application/json").spans]


def traces() -> dict[str, list[Span]]:
    out: dict[str, list[Span]] = defaultdict(list)
    for span in spans():
        out[span.trace_id].append(span)
    return dict(out)
