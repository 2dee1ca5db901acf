"""`clew demo` as a person starts it: what it prints, what is there to look at, and that it leaves nothing running."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from support.lab_shop import traces_of
from support.parts import require
from support.real_parts import free_port
from support.running_demo import RunningDemo

from app.lab import postgres, truth
from app.traces.otlp import decode

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    """A first start, interrupted once the earlier incident and the first live attack are there."""
    require("prometheus", "prometheus")
    demo = RunningDemo(tmp_path_factory.mktemp("first"), data)
    try:
        demo.until("Attack: brute-force")
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end(signal.SIGKILL)


def test_it_prints_where_to_go_and_the_log_in_works(first):
    password = re.search(r"log in as  demo   password  (\S+)", first.said)[1]
    with httpx.Client(base_url=first.url("port"), trust_env=False) as client:
        answer = client.post("/login", data={"name": "demo", "password": password})
        assert answer.status_code == 303, answer.text
        me = client.get("/api/v1/me").json()
    assert (me["name"], me["role"]) == ("demo", "analyst")


def test_the_earlier_incident_can_be_read_back_trace_by_trace(first, data):
    runs, _ordinary = truth.read(data / "shop" / "ground-truth.jsonl")
    past = [run for run in runs if run.end]
    assert {"brute-force", "credential-stuffing", "object-walking", "authorization-probing", "fail-open"} <= {
        run.begin.attack for run in past
    }
    for run in past:
        otherwise = [(line.did, line.status, line.expected.status) for line in run.requests if not line.as_expected]
        assert (otherwise, run.end.unexpected) == ([], 0)
        assert run.end.end_ns < time.time_ns() - 5 * 60 * 10**9
        line = run.requests[len(run.requests) // 2]
        answer = first.get("query-port", f"/api/v2/traces/{line.trace_id}")
        (trace,) = traces_of(decode(answer.content, answer.headers["content-type"]).spans).values()
        assert trace.roots[0].span.attributes["client.address"] == line.address
        assert abs(trace.start_ns - line.at_ns) < 10**9


def test_its_alerts_have_ended_and_have_exemplars(first):
    now = time.time()
    fired = first.get(
        "prometheus-port", "/api/v1/query", query='count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[4h]))'
    )
    names = {series["metric"]["alertname"] for series in fired.json()["data"]["result"]}
    assert {"AuthBruteForce", "AuthCredentialStuffing", "AuthorizationProbing", "AuthChecksBroken"} <= names
    firing = first.get("prometheus-port", "/api/v1/query", query='ALERTS{alertstate="firing"}').json()["data"]["result"]
    assert firing == []
    exemplars = first.get(
        "prometheus-port", "/api/v1/query_exemplars", query="otel_security_calls_total", start=now - 4 * 3600, end=now - 300
    ).json()["data"]
    assert sum(len(series["exemplars"]) for series in exemplars) > 100


def test_clew_is_told_which_services_send_spans_and_marks_its_pages_as_a_demonstration(first, data):
    log = (data / "logs" / "clew.log").read_text()
    assert "Traceback" not in log
    assert first.get("port", "/readyz").status_code == 200


def test_a_second_demo_says_which_ports_and_which_folder_are_taken(first, data):
    taken = subprocess.run(first.command, capture_output=True, text=True)
    assert taken.returncode != 0
    assert f"Port {first.ports['port']} is taken (choose another with --port)" in taken.stderr
    assert "Traceback" not in taken.stderr
    ports = ["--port", str(free_port()), "--otlp-port", str(free_port()), "--query-port", str(free_port())]
    again = subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", "--data", str(data), *ports, "--prometheus-port", str(free_port())],
        capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode != 0
    assert "A demo already runs from" in again.stderr


def test_ctrl_c_ends_everything_it_started_and_a_killed_one_leaves_nothing_either(first, data, tmp_path):
    children = first.children()
    assert len(children) == 9, "traces, prometheus, clew, postgres or none, five services"
    assert first.end(signal.SIGINT) == 0
    assert first.said.endswith("Stopping.\n")
    assert not [pid for pid in children if alive(pid)]
    assert not (data / "shop" / "shop.json").exists()

    again = RunningDemo(tmp_path, data)
    try:
        again.until("Attack: brute-force")
        assert "Data of an earlier demo is used again" in again.said
        assert "earlier incident is in" not in again.said
        children = again.children()
    finally:
        again.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while left := [pid for pid in children if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    # A killed demo cannot delete its database's folder; the next start does, and here the test.
    note = data / "shop" / "postgres.path"
    if note.exists():
        left_behind = Path(note.read_text())
        postgres.remove_noted(note)
        assert not left_behind.exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
