"""Alerts with the real parts: a Prometheus whose rule fires, an Alertmanager that notifies, a backend that holds the traces.

One story, told once: somebody fails to log in, the alert fires, is read with its traces, resolves, and is remembered.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable

import httpx2 as httpx
import pytest
from support import browser, markup, site
from support.embedded_backend import EmbeddedBackend
from support.metrics_app import MetricsApp
from support.real_parts import START_S, free_port, start_alertmanager, start_prometheus

from app.main import create_app
from app.settings import load
from app.times import SECOND, now_ns

USER = 'mallory" \\ {x=~".*"}'
TOKEN = "live-token"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"  # the exemplar that MetricsApp serves
RULES = r"""
groups:
- name: logins
  rules:
  - alert: Failing
    expr: app_failing > 0
    for: 1s
    labels: {severity: warning}
    annotations:
      summary: '{{ $labels.user }} fails {{ $value }} times'
      trace_query: '{ span.auth.result = "failure" && span.user.name = "{{ $labels.user }}" }'
"""
LABELS = "labels:\n  user:\n    attributes: [span.user.name]\n    entity: user\n"


def spans(trace_id: str, user: str, result: str, ago_s: float) -> bytes:
    def attributes(**given: object) -> list[dict[str, object]]:
        return [
            {"key": key, "value": {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}}
            for key, v in ((k.replace("__", "."), v) for k, v in given.items())
        ]

    start = now_ns() - int(ago_s * SECOND)
    root = {
        "traceId": trace_id,
        "spanId": "00f067aa0ba902b7",
        "name": "POST /login",
        "kind": 2,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 20_000_000),
        "attributes": attributes(
            http__response__status_code=200 if result == "success" else 401, http__request__method="POST", http__route="/login"
        ),
    }
    check = {
        "traceId": trace_id,
        "spanId": "00f067aa0ba902b8",
        "parentSpanId": root["spanId"],
        "name": "auth.login",
        "kind": 1,
        "startTimeUnixNano": str(start + 1_000_000),
        "endTimeUnixNano": str(start + 19_000_000),
        "attributes": attributes(auth__result=result, user__name=user, auth__failure_reason="invalid_credentials"),
    }
    resource = {"attributes": attributes(service__name="identity")}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [root, check]}]}]}).encode()


def until(what: Callable[[], str], words: str) -> str:
    end = time.monotonic() + 2 * START_S
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"{words} did not happen")


class Story:
    """The pages, as they were at each moment."""

    firing = alert = traces = told = ended = later = ""
    webhook: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Everything for real, for as long as it takes to fire and to resolve."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "labels.yaml").write_text(LABELS)
    tokens: list[str] = []

    async def prepare() -> None:
        async with site.open(folder) as here:
            tokens.append(await here.token_for(await here.add_user("ines", "analyst")))

    preparing = threading.Thread(target=lambda: asyncio.run(prepare()))
    preparing.start()
    preparing.join()
    port = free_port()
    backend = EmbeddedBackend(folder / "traces").start()
    try:
        with (
            MetricsApp() as metrics,
            start_alertmanager(
                folder / "am", webhook=f"http://127.0.0.1:{port}/hooks/alertmanager", token=TOKEN
            ) as alertmanager,
            start_prometheus(
                folder / "prometheus", targets=[metrics.target], rules=RULES, alertmanagers=[f"127.0.0.1:{alertmanager.port}"]
            ) as prometheus,
        ):
            metrics.user = USER
            settings = load(
                database={"url": f"sqlite:///{folder}/clew.db"},
                tempo={"url": backend.query, "search_cutoff_s": 0},
                prometheus={"url": prometheus.url},
                alertmanager={"url": alertmanager.url, "webhook_token": TOKEN},
                analysis={"labels_file": str(folder / "labels.yaml")},
            )
            with (
                browser.serving(create_app(settings), port) as address,
                httpx.Client(base_url=address, cookies={"clew": tokens[0]}, timeout=30, trust_env=False) as reader,
            ):
                yield tell(reader, backend, metrics)
    finally:
        backend.stop()


def tell(reader: httpx.Client, backend: EmbeddedBackend, metrics: MetricsApp) -> Story:
    """Two failures of one user and one of another, the alert, its traces, its end."""

    def read(path: str, **headers: str) -> str:
        answer = reader.get(path, headers=headers)
        assert answer.status_code == 200, answer.text[:300]
        return answer.text

    def row(state: str) -> str:
        html = read("/alerts")
        return html if any(state in one.words for one in markup.elements(html, "li", class_="alert-row")) else ""

    one = Story()
    for trace_id, user in ((TRACE, USER), ("a" * 32, USER), ("b" * 32, "somebody else")):
        assert backend.export(spans(trace_id, user, "failure", 5)).status_code == 200
    metrics.failing = 7
    one.firing = until(lambda: row("Firing"), "firing")
    address = markup.one(one.firing, "a", class_="alert-row__name").attributes["href"]
    one.alert = read(address)
    one.traces = until(
        lambda: html if "delay:800ms" not in (html := read(f"{address}/traces", **{"hx-request": "true"})) else "", "judging"
    )
    one.told = until(lambda: html if "last told" in (html := read("/alerts")) else "", "the webhook")
    metrics.failing = 0
    one.ended = until(lambda: row("Ended"), "resolving")
    one.later = read(address)
    return one


def test_a_firing_rule_is_a_row_with_its_rendered_summary(story):
    row = markup.one(story.firing, "li", class_="alert-row")
    assert "Failing" in row.words
    assert f"{USER} fails 7 times" in row.words
    assert "Firing" in row.words


def test_alertmanager_and_webhook_tell_of_the_same_alert(story):
    assert len(markup.elements(story.told, "li", class_="alert-row")) == 1
    counts = {choice.words: choice for choice in markup.elements(story.told, "a") if choice.words in ("Prometheus", "Webhook")}
    assert set(counts) == {"Prometheus", "Webhook"}
    facet = next(s.words for s in markup.elements(story.told, "section", class_="facet") if s.words.startswith("Source"))
    assert facet == "SourcePrometheus1Alertmanager1Webhook1"


def test_its_page_draws_what_prometheus_measured(story):
    figure = json.loads(markup.one(story.alert, "figure").attributes["data-figure"])
    assert 7 in figure["data"][0]["y"]
    assert any("threshold 0" in str(words["text"]) for words in figure["layout"]["annotations"])
    asked = next(block.words for block in markup.elements(story.alert, "div", class_="query"))
    assert r'app_failing{instance="' in asked
    assert r'user="mallory\" \\ {x=~\".*\"}"' in asked


def test_the_traces_behind_it_are_those_of_the_label_and_no_others(story):
    links = [a.attributes["href"] for a in markup.elements(story.traces, "a")]
    found = {href[8:40] for href in links if href.startswith("/traces/")}
    assert found == {TRACE, "a" * 32}
    assert "2 of 2" in markup.one(story.traces, "p", class_="complete").words
    rows = [row.words for row in markup.elements(story.traces, "tr") if "data-row" in row.attributes]
    assert all("Denied" in words and "invalid_credentials" in words for words in rows)


def test_the_rules_own_query_is_offered_with_the_hostile_name_as_a_value(story):
    assert "The rule’s own query" in story.traces


def test_when_it_resolves_it_is_an_ended_alert_with_an_end(story):
    row = markup.one(story.ended, "li", class_="alert-row")
    assert "until" in row.words
    assert "Ended" in story.later
