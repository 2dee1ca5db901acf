"""The Alertmanager client and the webhook against a real Alertmanager."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from support.real_parts import START_S, RealPart, post_json, start_alertmanager, start_prometheus

from app.errors import SourceRefused
from app.settings import AlertmanagerSettings, PrometheusSettings
from app.sources.alertmanager import AlertmanagerClient
from app.sources.fingerprint import fingerprint
from app.sources.prometheus import PrometheusClient
from app.sources.values import AlertState, FiringAlert, WebhookNotification
from app.sources.webhook import decode_webhook
from app.times import parse_iso

STARTED = "2026-11-22T05:00:00.568Z"
LABELS = [
    {"alertname": "Plain"},
    {"alertname": "Many", "b": "2", "a": "1", "Z": "0", "_": "x"},
    {"alertname": "Odd", "user": 'a"b\\c\nd', "path": "/é/用/🙂", "html": "<script>alert(1)</script>", "tab": "\t{}=~,"},
    {"alertname": "Long", "text": "x" * 3000},
]


class Hook:
    """Collects what is delivered to it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def wait_for(self, wanted: Callable[[WebhookNotification], bool]) -> WebhookNotification:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            for body in list(self.bodies):
                notification = decode_webhook(body)
                if wanted(notification):
                    return notification
            time.sleep(0.05)
        raise AssertionError(f"no such notification among {len(self.bodies)}")


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    one = Hook()
    one.thread.start()
    yield one
    one.server.shutdown()
    one.thread.join()
    one.server.server_close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[RealPart]:
    with start_alertmanager(tmp_path_factory.mktemp("alertmanager"), webhook=hook.url) as part:
        rows = [{"labels": labels, "annotations": {"summary": "s"}, "startsAt": STARTED} for labels in LABELS]
        post_json(f"{part.url}/api/v2/alerts", rows)
        yield part


def ask(part: RealPart, question: Callable[[AlertmanagerClient], Awaitable[object]]) -> object:
    async def asking() -> object:
        client = AlertmanagerClient(AlertmanagerSettings.model_validate({"url": part.url}))
        try:
            return await question(client)
        finally:
            await client.aclose()

    return asyncio.run(asking())


def alerts(part: RealPart, labels: dict[str, str] | None = None) -> tuple[FiringAlert, ...]:
    return ask(part, lambda client: client.alerts(labels))


def test_alerts_and_fingerprints_are_alertmanagers_own(alertmanager):
    found = {alert.labels["alertname"]: alert for alert in alerts(alertmanager)}
    for labels in LABELS:
        alert = found[labels["alertname"]]
        assert alert.labels == labels
        assert alert.started_ns == parse_iso(STARTED)
        assert alert.ended_ns is None
        assert alert.fingerprint == fingerprint(labels)
        assert alert.receivers == ("hook",)


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels["alertname"])
def test_labels_filter_whatever_they_hold(alertmanager, labels):
    assert [alert.labels for alert in alerts(alertmanager, labels)] == [labels]


def test_groups_and_status(alertmanager):
    groups = ask(alertmanager, lambda client: client.groups({"alertname": "Plain"}))
    assert [(group.labels, group.receiver, len(group.alerts)) for group in groups] == [({"alertname": "Plain"}, "hook", 1)]
    assert ask(alertmanager, lambda client: client.build_info()).version[0].isdigit()
    assert ask(alertmanager, lambda client: client.ready()) is True


def test_a_silence_and_the_alert_that_it_suppresses(alertmanager):
    now = dt.datetime.now(dt.UTC)
    matchers = [{"name": "alertname", "value": "Silent", "isRegex": False}]
    times = {"startsAt": now.isoformat(), "endsAt": (now + dt.timedelta(hours=1)).isoformat()}
    post_json(f"{alertmanager.url}/api/v2/silences", {"matchers": matchers, "createdBy": "eve", "comment": "why", **times})
    post_json(f"{alertmanager.url}/api/v2/alerts", [{"labels": {"alertname": "Silent"}}])
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        (alert,) = alerts(alertmanager, {"alertname": "Silent"})
        if alert.state is AlertState.SUPPRESSED:
            break
        time.sleep(0.1)
    (silence,) = ask(alertmanager, lambda client: client.silences())
    assert alert.silenced_by == (silence.id,)
    assert silence.matchers == ('alertname="Silent"',)
    assert (silence.created_by, silence.comment, silence.state) == ("eve", "why", "active")


def test_a_refusal_in_its_own_words(alertmanager):
    with pytest.raises(SourceRefused, match="bad matcher format"):
        ask(alertmanager, lambda client: client.alerts({"": "x"}))


def test_what_it_delivers_is_what_it_was_told(alertmanager, hook):
    for labels in LABELS:
        found = hook.wait_for(lambda n, labels=labels: n.alerts[0].labels == labels)
        (alert,) = found.alerts
        assert alert.state is AlertState.FIRING
        assert alert.fingerprint == fingerprint(labels)
        assert alert.started_ns == parse_iso(STARTED)
        assert found.receiver == "hook"
        assert found.group_labels == {"alertname": labels["alertname"]}
        assert found.truncated_alerts == 0


def test_a_resolution_is_delivered_with_its_end(alertmanager, hook):
    hook.wait_for(lambda n: n.alerts[0].labels == LABELS[0])
    ended = dt.datetime.now(dt.UTC).replace(microsecond=0)
    post_json(f"{alertmanager.url}/api/v2/alerts", [{"labels": LABELS[0], "startsAt": STARTED, "endsAt": ended.isoformat()}])
    found = hook.wait_for(lambda n: n.alerts[0].labels == LABELS[0] and n.alerts[0].state is AlertState.RESOLVED)
    assert found.alerts[0].ended_ns == parse_iso(ended.isoformat())
    assert found.alerts[0].started_ns == parse_iso(STARTED)
    assert alerts(alertmanager, LABELS[0]) == ()


def test_an_alert_of_prometheus_arrives_with_the_same_fingerprint(alertmanager, tmp_path):
    """Prometheus tells when it became pending, Alertmanager when it fired: without a waiting time, the same moment."""
    rules = "groups: [{name: g, rules: [{alert: FromPrometheus, expr: vector(1), labels: {severity: page}}]}]"
    with start_prometheus(tmp_path / "p", rules=rules, alertmanagers=[f"127.0.0.1:{alertmanager.port}"]) as prometheus:
        until = time.monotonic() + START_S
        while time.monotonic() < until and not alerts(alertmanager, {"alertname": "FromPrometheus"}):
            time.sleep(0.1)

        async def asking() -> tuple[FiringAlert, ...]:
            client = PrometheusClient(PrometheusSettings.model_validate({"url": prometheus.url}))
            try:
                return await client.alerts()
            finally:
                await client.aclose()

        (told,) = asyncio.run(asking())
        (arrived,) = alerts(alertmanager, {"alertname": "FromPrometheus"})
    assert arrived.labels == told.labels
    assert arrived.fingerprint == told.fingerprint == fingerprint(told.labels)
    assert abs(arrived.started_ns - told.started_ns) < 1_000_000  # one of them is cut to milliseconds
    assert "g0.expr=vector" in arrived.generator_url
