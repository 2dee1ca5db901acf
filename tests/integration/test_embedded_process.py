"""`clew embedded` as people run it: a process with ports, a folder, and an end."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from support.embedded_backend import EmbeddedBackend, wait_until

SECOND = 1_000_000_000


@pytest.fixture
def backend(tmp_path):
    backend = EmbeddedBackend(tmp_path / "spans")
    yield backend
    backend.stop()


def request(*trace_ids, start_ns=None, name="auth.login", spans=3):
    """An export in which each trace has a root and children, findable by an attribute of its own."""
    start = start_ns or time.time_ns() - SECOND
    made = []
    for trace_id in trace_ids:
        root = f"{trace_id % 2**40 + 1:015x}0"
        for number in range(spans):
            made.append({
                "traceId": f"{trace_id:032x}", "spanId": f"{root[:15]}{number:x}", "parentSpanId": root if number else "",
                "name": name if number == 0 else f"step {number}", "kind": 2,
                "startTimeUnixNano": str(start + number), "endTimeUnixNano": str(start + 1_000_000 + number),
                "attributes": [
                    {"key": "auth.result", "value": {"stringValue": "failure"}},
                    {"key": "number", "value": {"intValue": str(trace_id)}},
                ],
            })  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "vulture"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]}).encode()


def trace_ids(backend, query="{ }", **params):
    answer = backend.get("/api/search", q=query, limit=100_000, spss=1, **params).json()
    return {int(trace["traceID"], 16) for trace in answer["traces"]}


def test_kill_9_during_ingest_loses_nothing_acknowledged(backend):
    """Eight senders at work; the process dies in the middle, several times. What was answered 200 is there afterwards."""
    acknowledged: set[int] = set()
    numbers = iter(range(1, 10**9))
    lock = threading.Lock()
    for _ in range(4):
        backend.start()
        stop = threading.Event()

        def send(stop=stop, url=backend.otlp):
            import httpx2 as httpx

            with httpx.Client(timeout=10, trust_env=False) as client:
                while not stop.is_set():
                    with lock:
                        batch = [next(numbers) for _ in range(20)]
                    try:
                        answer = client.post(
                            f"{url}/v1/traces", content=request(*batch), headers={"content-type": "application/json"}
                        )
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 200:
                        with lock:
                            acknowledged.update(batch)

        senders = [threading.Thread(target=send) for _ in range(8)]
        before = len(acknowledged)
        for sender in senders:
            sender.start()
        wait_until(lambda before=before: len(acknowledged) > before + 400, within_s=60)
        backend.kill()
        stop.set()
        for sender in senders:
            sender.join(timeout=20)
    backend.start()
    found = trace_ids(backend)
    assert acknowledged - found == set()
    # What was written is whole: every trace has all of its spans, and the index knows each.
    some = sorted(acknowledged)[:: max(1, len(acknowledged) // 40)]
    for number in some:
        [batch] = backend.get(f"/api/traces/{number:x}").json()["batches"]
        assert len(batch["scopeSpans"][0]["spans"]) == 3
        assert trace_ids(backend, f"{{ span.number = {number} }}") == {number}


def test_what_is_written_is_read_back_by_id_by_search_and_by_metric(backend):
    backend.start()
    numbers = range(1, 301)
    start_ns = (int(time.time()) - 60) * SECOND
    for first in range(1, 301, 50):
        assert backend.export(request(*range(first, first + 50), start_ns=start_ns)).status_code == 200
    assert trace_ids(backend, '{ resource.service.name = "vulture" }') == set(numbers)
    window = {"start": start_ns // SECOND - 5, "end": start_ns // SECOND + 5}
    assert trace_ids(backend, '{ name = "auth.login" }', **window) == set(numbers)
    [series] = backend.get("/api/metrics/query", q="{ } | count_over_time()", **window).json()["series"]
    assert series["value"] == 900
    for number in numbers:
        spans = backend.get(f"/api/v2/traces/{number:x}").json()["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert [span["name"] for span in spans] == ["auth.login", "step 1", "step 2"]
    assert 'auth_result="failure"' in backend.get("/metrics").text
    assert "clew_embedded_accepted_spans_total 900" in backend.get("/metrics").text


def test_a_restart_keeps_the_spans(backend):
    backend.start()
    backend.export(request(1, 2, 3))
    assert backend.stop() == 0
    backend.start()
    assert trace_ids(backend, '{ span.auth.result = "failure" }') == {1, 2, 3}
    backend.export(request(4))
    assert trace_ids(backend) == {1, 2, 3, 4}


def test_spans_of_yesterday_are_found_but_are_no_news(backend):
    backend.start()
    yesterday = time.time_ns() - 86_400 * SECOND
    backend.export(request(1, start_ns=yesterday))
    window = {"start": yesterday // SECOND - 60, "end": yesterday // SECOND + 60}
    assert trace_ids(backend, "{ status = unset }", **window) == {1}
    text = backend.get("/metrics").text
    assert "clew_embedded_late_spans_total 3" in text
    assert "otel_security_calls_total{" not in text


def test_retention_is_an_option(tmp_path):
    backend = EmbeddedBackend(tmp_path / "spans", "--retention", "1s", "--max-bytes", "1GiB").start()
    try:
        backend.export(request(1))
        wait_until(lambda: trace_ids(backend) == set(), within_s=40)
    finally:
        backend.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_asked(backend, number):
    backend.start()
    backend.export(request(1))
    process = backend.process
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "Traceback" not in out
    backend.client.close()
    backend._process = None
    assert not (backend.data / "spans.db-wal").exists()  # all of it is in the database


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "embedded", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("option", ["--otlp-port", "--query-port"])
def test_a_taken_port_is_one_sentence(tmp_path, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = "--query-port" if option == "--otlp-port" else "--otlp-port"
        done = run(option, str(port), other, "0", "--data", str(tmp_path / "spans"))
    assert done.returncode == 1
    assert done.stderr == f"Port {port} on 127.0.0.1 is taken; choose another with {option}.\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--retention", "soon"], "'soon' is not a duration"),
        (["--max-bytes", "much"], "'much' is not a size"),
        (["--host", "192.0.2.1"], "cannot be used"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path, arguments, words):
    done = run("--otlp-port", "0", "--query-port", "0", "--data", str(tmp_path), *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_backend_on_the_same_folder_is_refused(backend):
    backend.start()
    done = run("--otlp-port", "0", "--query-port", "0", "--data", str(backend.data))
    assert done.returncode == 1
    assert "another backend is using it" in done.stderr


def test_it_goes_on_answering_while_exports_are_large(backend):
    """A large export is decoded off the event loop: questions are answered meanwhile."""
    backend.start()
    body = request(*range(1, 4_001))
    done: list[int] = []
    sender = threading.Thread(target=lambda: done.append(backend.export(body).status_code))
    sender.start()
    answered = 0
    while sender.is_alive() or not answered:
        assert backend.get("/ready").text == "ready\n"
        answered += 1
    sender.join()
    assert done == [200]
    assert trace_ids(backend, "{ span.number = 4000 }") == {4_000}
