"""The embedded trace backend: how fast it takes spans beside the bare path, and how fast it answers with a million of them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from app.embedded.store import Retention, Store
from app.times import SECOND
from benchmarks import _spans
from benchmarks._percentile import percentile

# What docs/embedded.md promises.
LEAST_INGEST_RATIO = 0.6
MOST_MS = {"trace by id": 5.0, "promoted attribute": 20.0, "indexed attribute": 50.0}

_ROUNDS = 6
_MOST_PER_S = 25_000  # spans that either server could take; there are exports for as many


@dataclass(frozen=True)
class Options:
    spans: int = 1_000_000
    ingest_s: float = 60.0  # for each of the two servers
    senders: int = 8
    spans_per_export: int = 100
    queries: int = 200


def run(options: Options) -> dict[str, float]:
    """The figures by name: spans per second, ratios, milliseconds, bytes per span."""
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        return {**ingest(options, Path(folder)), **queries(options, Path(folder))}


def ingest(options: Options, folder: Path) -> dict[str, float]:
    """Both servers take the same exports, turn about, so that a busy machine is busy for both."""
    now = time.time_ns()
    seconds = options.ingest_s / _ROUNDS
    # No export is sent twice: spans that are known already cost less.
    bodies = list(_spans.exports(int(seconds * _MOST_PER_S / options.spans_per_export), options.spans_per_export, now))
    taken = {"bare": 0.0, "embedded": 0.0}
    latencies: dict[str, list[float]] = {"bare": [], "embedded": []}
    for number in range(_ROUNDS):
        for name, serving in (("bare", _bare(folder / f"bare{number}.db")), ("embedded", _embedded(folder / f"in{number}"))):
            with serving as urls:
                rate, times = _send(urls[0], bodies, options, seconds)
            taken[name] += rate / _ROUNDS
            latencies[name] += times
    return {
        "bare spans/s": taken["bare"],
        "embedded spans/s": taken["embedded"],
        "ingest ratio": taken["embedded"] / taken["bare"],
        "embedded export p50 ms": percentile(latencies["embedded"], 0.5),
        "embedded export p99 ms": percentile(latencies["embedded"], 0.99),
    }


def queries(options: Options, folder: Path) -> dict[str, float]:
    """Latency over HTTP with the store filled. The first few of each kind are not counted."""
    data = folder / "filled"
    start_ns, traces = time.time_ns() - 3_600 * SECOND, options.spans // _spans.SPANS_PER_TRACE
    filling = _fill(data, traces, start_ns)
    size = (data / "spans.db").stat().st_size
    out = {"fill spans/s": options.spans / filling, "bytes/span": size / options.spans}
    window = {"start": start_ns // SECOND - 60, "end": time.time_ns() // SECOND + 60}

    def search(query: str) -> tuple[str, dict[str, object]]:
        return "/api/search", {"q": query, **window}

    asked: dict[str, Callable[[int], tuple[str, dict[str, object]]]] = {
        "echo": lambda n: ("/api/echo", {}),  # what HTTP and a busy machine cost alone
        "trace by id": lambda n: (f"/api/v2/traces/{_spans.trace(n * 7919 % traces, 0)[0].trace_id}", {}),
        "promoted attribute": lambda n: search(f'{{ span.user.name = "user{n * 31 % _spans.USERS:05d}" }}'),
        "indexed attribute": lambda n: search(f"{{ span.thread.id = {n % 64} }}"),
        "two indexed attributes": lambda n: search(
            f'{{ span.code.function = "handler{n % 20}" && span.thread.id = {n % 64} }}'
        ),
        "popular attribute": lambda n: search('{ span.auth.result = "failure" }'),
        "user and result": lambda n: search(
            f'{{ span.user.name = "user{n * 31 % _spans.USERS:05d}" && span.auth.result = "failure" }}'
        ),
        "regex": lambda n: search(f'{{ span.http.route =~ "/api/route{n % 10}.*" && status = error }}'),
        "newest": lambda n: search("{ }"),
        "tag values": lambda n: ("/api/v2/search/tag/span.http.route/values", dict(window)),
    }
    with _embedded(data) as urls, httpx.Client(base_url=urls[1], timeout=60, trust_env=False) as client:
        for name, question in asked.items():
            times = []
            for number in range(options.queries + 5):
                path, params = question(number)
                began = time.perf_counter()
                client.get(path, params=params).raise_for_status()  # type: ignore[arg-type]
                times.append((time.perf_counter() - began) * 1000)
            out[f"{name} p50 ms"] = percentile(times[5:], 0.5)
            out[f"{name} p95 ms"] = percentile(times[5:], 0.95)
    return out


def _fill(data: Path, traces: int, start_ns: int) -> float:
    """Seconds that the store itself took: making the spans is not counted."""
    store = Store(data, Retention(max_bytes=2**40))
    spent, waiting = 0.0, []
    for number in range(traces):
        waiting += _spans.trace(number, start_ns + number * 3_600 * SECOND // traces)
        if len(waiting) >= 2_000 or number == traces - 1:
            began = time.perf_counter()
            store.append(waiting).result()
            spent += time.perf_counter() - began
            waiting = []
    store.close()
    return spent


def _send(url: str, bodies: list[bytes], options: Options, seconds: float) -> tuple[float, list[float]]:
    """Spans per second acknowledged, and each export's milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def sender(first: int) -> None:
        with httpx.Client(timeout=60, trust_env=False, headers={"content-type": "application/x-protobuf"}) as client:
            for body in bodies[first :: options.senders]:
                began = time.perf_counter()
                if began > end:
                    return
                client.post(f"{url}/v1/traces", content=body).raise_for_status()
                times.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(options.senders)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) * options.spans_per_export / (time.perf_counter() - began), times


@contextlib.contextmanager
def _process(arguments: list[str], urls: int) -> Iterator[list[str]]:
    process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        found: list[str] = []
        while len(found) < urls:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{arguments[0]} did not start")
            found += re.findall(r"http://127\.0\.0\.1:\d+", line)
        yield found
    finally:
        process.terminate()
        process.wait()


def _bare(file: Path) -> contextlib.AbstractContextManager[list[str]]:
    return _process(["benchmarks._bare_otlp", str(file)], 1)


def _embedded(data: Path) -> contextlib.AbstractContextManager[list[str]]:
    return _process(
        ["app.cli", "embedded", "--otlp-port", "0", "--query-port", "0", "--data", str(data), "--max-bytes", "1TiB"], 2
    )


def main(quick: bool = False) -> None:
    options = Options(spans=100_000, ingest_s=24.0, queries=50) if quick else Options()
    found = run(options)
    for name, value in found.items():
        print(f"{name:28} {value:12,.2f}")
    met = found["ingest ratio"] >= LEAST_INGEST_RATIO
    print(f"ingest at least {LEAST_INGEST_RATIO:.0%} of the bare path: {'yes' if met else 'no'}")
    for name, most in MOST_MS.items():
        print(f"{name}: p95 at most {most:g} ms: {'yes' if found[f'{name} p95 ms'] <= most else 'no'}")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
