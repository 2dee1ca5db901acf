"""docs/managed-backends.md, tried: its settings as they stand there against a stand-in for the services it speaks of.

Behind the stand-in are a real Prometheus whose rule fires, a real Alertmanager and Clew's own backend with traces.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
import yaml
from support import markup, site
from support.draw import BASE, spans_of
from support.embedded_backend import EmbeddedBackend
from support.fault_server import self_signed
from support.managed_backend import ManagedBackend, Product, Token
from support.metrics_app import MetricsApp
from support.real_parts import START_S, RealPart, start_alertmanager, start_prometheus

from app.cases.preserve import version_of
from app.doctor import connections
from app.errors import NotFound, SourceError, SourceRefused, SourceUnavailable
from app.investigation.sources import Sources
from app.settings import Settings, load
from app.sources.webhook import decode_webhook
from app.times import MINUTE, SECOND, now_ns
from app.traces.otlp import encode_json
from app.web.clients import Clients

PAGE = Path(__file__).resolve().parents[2] / "docs" / "managed-backends.md"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"  # the exemplar that MetricsApp serves
OTHER = "a" * 32
READ, WRITE, ENDED = "glc_read-token", "glc_write-token", "glc_ended-token"
SECRETS = {"GRAFANA_CLOUD_READ_TOKEN": READ, "CLEW_WEBHOOK_TOKEN": "hook-token", "METRICS_TOKEN": READ}
SOURCES = ("TEMPO", "PROMETHEUS", "ALERTMANAGER")
RULES = """
groups:
- name: logins
  rules:
  - alert: Failing
    expr: app_failing > 0
    labels: {severity: warning}
    annotations: {summary: "{{ $labels.user }} fails"}
"""
LABELS = "labels:\n  user:\n    attributes: [span.user.name]\n    entity: user\n"
REFUSED = """
identity: POST /login  401
  identity: auth.login  auth=refused because="invalid_credentials" user.name=mallory
"""


def block(heading: str, language: str) -> str:
    """The first block of that language below a heading of the page."""
    below = PAGE.read_text().split(f"\n{heading}\n", 1)[1]
    found = re.search(rf"```{language}\n(.*?)```", below, re.DOTALL)
    assert found
    return found[1]


def exported(heading: str) -> dict[str, str]:
    """The settings of a section, by a shell that reads its block."""
    script = f"{block(heading, 'sh')}\nenv -0"
    done = subprocess.run(["sh", "-euc", script], env={**SECRETS, "PATH": os.environ["PATH"]}, capture_output=True, check=True)
    pairs = (line.partition("=") for line in done.stdout.decode().split("\0") if line)
    return {name: value for name, _, value in pairs if name.startswith("CLEW_") and "__" in name}


class World(msgspec.Struct):
    """What stands behind the services, and an empty one of each for tenants that have nothing."""

    folder: Path
    tempo: EmbeddedBackend
    prometheus: RealPart
    alertmanager: RealPart
    empty: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("managed")
    with ExitStack() as stack:
        tempo, empty = EmbeddedBackend(folder / "spans").start(), EmbeddedBackend(folder / "none").start()
        stack.callback(tempo.stop)
        stack.callback(empty.stop)
        metrics = stack.enter_context(MetricsApp())
        metrics.user, metrics.failing = "mallory", 7
        alertmanager = stack.enter_context(start_alertmanager(folder / "alertmanager"))
        idle = stack.enter_context(start_alertmanager(folder / "alertmanager-idle"))
        prometheus = stack.enter_context(start_prometheus(
            folder / "prometheus", targets=[metrics.target], rules=RULES, alertmanagers=[f"127.0.0.1:{alertmanager.port}"]
        ))  # fmt: skip
        blank = stack.enter_context(start_prometheus(folder / "prometheus-empty"))
        for number, trace_id in enumerate((TRACE, OTHER)):
            begun = now_ns() - (60 + number) * SECOND
            spans = [msgspec.structs.replace(s, trace_id=trace_id, start_ns=s.start_ns - BASE + begun,
                                             end_ns=s.end_ns - BASE + begun) for s in spans_of(REFUSED)]  # fmt: skip
            assert tempo.export(encode_json(spans)).status_code == 200
        here = World(folder, tempo, prometheus, alertmanager,
                     {"TEMPO": empty.query, "PROMETHEUS": blank.url, "ALERTMANAGER": idle.url})  # fmt: skip
        direct = load(tempo={"url": tempo.query}, prometheus={"url": prometheus.url}, alertmanager={"url": alertmanager.url})
        until(direct, lambda clients: clients.alertmanager.alerts(), "the alert did not reach Alertmanager")
        yield here


def until(settings: Settings, asking: Callable[[Any], Awaitable[Any]], words: str) -> None:
    end = time.monotonic() + 2 * START_S
    while not asked(settings, asking):
        assert time.monotonic() < end, words
        time.sleep(0.2)


def asked(settings: Settings, asking: Callable[[Any], Awaitable[Any]]) -> Any:
    """One question to the clients that the app would have with these settings."""

    async def once() -> Any:
        clients = Clients.of(settings)
        try:
            return await asking(clients)
        finally:
            await clients.close()

    return asyncio.run(once())


@contextmanager
def services(products: Mapping[str, Product], variables: dict[str, str], tls: Path | None = None):
    """The services of a section, and its variables with their hosts in place of those of the page."""
    context, certificate = self_signed(tls) if tls else (None, None)
    with ExitStack() as stack:
        running = {name: stack.enter_context(ManagedBackend(product, tls=context)) for name, product in products.items()}
        there = dict(variables)
        for name, service in running.items():
            there[f"CLEW_{name}__URL"] = re.sub(r"^https://[^/]+", service.url, there[f"CLEW_{name}__URL"])
            if certificate:
                there[f"CLEW_{name}__CA_FILE"] = str(certificate)
        yield running, there


def settings_from(variables: Mapping[str, str], **given: Any) -> Settings:
    with mock.patch.dict(os.environ, variables):
        return load(**given)


# ------------------------------------------------------------------------------------------------------ Grafana Cloud

TOKENS = {
    READ: Token(frozenset({"traces:read", "metrics:read", "rules:read", "alerts:read"})),
    WRITE: Token(frozenset({"traces:write", "metrics:write"})),
    ENDED: Token(frozenset({"traces:read", "metrics:read", "rules:read", "alerts:read"}), expired=True),
}


def of_metrics(method: str, path: str) -> str:
    return "rules:read" if path.startswith(("/api/v1/rules", "/api/v1/alerts")) else "metrics:read"


@pytest.fixture(scope="module")
def cloud(world, tmp_path_factory):
    """The three products, each with its host, id, prefix and scope."""
    products = {
        "TEMPO": Product(world.tempo.query, "/tempo", "111111", TOKENS, lambda method, path: "traces:read",
                         absent=("/ready", "/api/status/buildinfo")),
        "PROMETHEUS": Product(world.prometheus.url, "/api/prom", "222222", TOKENS, of_metrics,
                              absent=("/-/", "/api/v1/status/flags", "/api/v1/targets", "/api/v1/status/tsdb")),
        "ALERTMANAGER": Product(world.alertmanager.url, "/alertmanager", "333333", TOKENS, lambda method, path: "alerts:read",
                                absent=("/-/",)),
    }  # fmt: skip
    with services(products, exported("### Settings"), tls=tmp_path_factory.mktemp("tls")) as found:
        yield found


SMALLEST: dict[str, Callable[[Clients], Awaitable[Any]]] = {
    "TEMPO": lambda clients: clients.tempo.search("{}", now_ns() - 10 * MINUTE, now_ns()),
    "PROMETHEUS": lambda clients: clients.prometheus.query("app_failing"),
    "ALERTMANAGER": lambda clients: clients.alertmanager.alerts(),
}


def test_traces_through_the_service(cloud):
    settings = settings_from(cloud[1])

    async def asking(clients):
        start, end = now_ns() - 10 * MINUTE, now_ns()
        found = await clients.tempo.search('{ span.user.name = "mallory" }', start, end)
        assert {trace.trace_id for trace in found.traces} == {TRACE, OTHER}
        trace, received = await clients.tempo.trace(TRACE)
        assert [node.span.name for node in trace.nodes] == ["POST /login", "auth.login"]
        assert received.url.endswith(f"/tempo/api/v2/traces/{TRACE}")
        values = await clients.tempo.tag_values("span.user.name", start_ns=start, end_ns=end)
        assert [value.value for value in values] == ["mallory"]
        counted = await clients.tempo.metrics_instant("{ name = `auth.login` } | count_over_time()", start, end)
        assert [sample.value for series in counted.series for sample in series.samples] == [2]
        with pytest.raises(NotFound):
            await clients.tempo.trace("b" * 32)
        assert await clients.tempo.ready()
        assert await version_of(clients.tempo) == "", "a service that does not tell its version is no reason to keep nothing"

    asked(settings, asking)


def test_metrics_rules_and_history_through_the_service(cloud):
    settings = settings_from(cloud[1])

    async def asking(clients):
        start, end = now_ns() - 10 * MINUTE, now_ns()
        (value,) = (await clients.prometheus.query("app_failing")).series
        assert value.samples[0].value == 7
        # Longer than a GET may be, so it is posted.
        long = " or ".join(f'app_failing{{user="{n}"}}' for n in range(100)) + " or app_failing"
        assert (await clients.prometheus.query(long)).series[0].samples[0].value == 7
        assert (await clients.prometheus.query_range("app_failing", end - MINUTE, end, 1)).series
        exemplars = await clients.prometheus.query_exemplars("app_duration_seconds_bucket", start, end)
        assert {one.trace_id for one in exemplars.exemplars} == {TRACE}
        assert await clients.prometheus.exemplar_storage() is None, "not known, and so not called off"
        assert [rule.name for rule in await clients.prometheus.rules("alert")] == ["Failing"]
        assert [alert.labels["user"] for alert in await clients.prometheus.alerts()] == ["mallory"]
        (history,) = await clients.prometheus.alert_history("Failing", start, end)
        assert history.labels["user"] == "mallory"
        assert await clients.prometheus.ready()

    asked(settings, asking)


def test_alerts_through_the_service(cloud):
    async def asking(clients):
        assert [alert.labels["alertname"] for alert in await clients.alertmanager.alerts()] == ["Failing"]
        assert await clients.alertmanager.ready()

    asked(settings_from(cloud[1]), asking)


def test_the_doctor_finds_nothing_wrong_with_the_connections(cloud):
    async def asking(clients):
        sources = Sources(clients.tempo, clients.prometheus, clients.alertmanager)
        return await connections.ask(sources, now_ns())

    found = asked(settings_from(cloud[1]), asking)
    assert [(one.source, one.reachable, one.authorised, one.problem, one.clock_ns) for one in found] == [
        (source, True, True, "", 0) for source in ("Tempo", "Prometheus", "Alertmanager")
    ]


WRONG_TOKEN = ("does not accept Clew's credentials (401): the user name is not this product's, "
               "or the token or password is wrong or has expired.")  # fmt: skip
NO_SCOPE = "does not let Clew read (403): its token or user lacks the right to."
NO_PREFIX = "does not know this address (404): the path prefix in its URL is missing or wrong."
MISTAKES = {
    "wrong token": ({"PASSWORD": READ[:-3]}, WRONG_TOKEN),
    "ended token": ({"PASSWORD": ENDED}, WRONG_TOKEN),
    "another product's id": ({"USERNAME": "444444"}, WRONG_TOKEN),
    "bearer in place of basic": ({"USERNAME": "", "PASSWORD": "", "BEARER_TOKEN": READ}, WRONG_TOKEN),
    "nothing to show": (
        {"USERNAME": "", "PASSWORD": ""}, "asks for credentials (401), and Clew's settings hold none for it."),
    "a token that writes": ({"PASSWORD": WRITE}, NO_SCOPE),
    "prefix left out": ({"URL": ("/[a-z/]+$", "")}, NO_PREFIX),
    "another's prefix": ({"URL": ("/[a-z/]+$", "/elsewhere")}, NO_PREFIX),
}  # fmt: skip
NAMES = {"TEMPO": "Tempo", "PROMETHEUS": "Prometheus", "ALERTMANAGER": "Alertmanager"}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_wrong_setting_is_told_by_what_to_change(cloud, source, mistake):
    changes, sentence = MISTAKES[mistake]
    variables = dict(cloud[1])
    for name, value in changes.items():
        variable = f"CLEW_{source}__{name}"
        variables[variable] = value if isinstance(value, str) else re.sub(*value, variables[variable])
    with pytest.raises(SourceRefused) as caught:
        asked(settings_from(variables), SMALLEST[source])
    assert str(caught.value) == f"{NAMES[source]} {sentence}"
    assert READ not in caught.value.detail


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_page_lists_what_is_told(mistake):
    _, sentence = MISTAKES[mistake]
    assert re.split(r" for it\.|[:.]", sentence)[0] in PAGE.read_text().split("## When it does not work")[1]


def test_a_missing_prefix_is_not_mistaken_for_a_missing_trace(cloud):
    variables = {**cloud[1], "CLEW_TEMPO__URL": cloud[1]["CLEW_TEMPO__URL"].removesuffix("/tempo")}
    with pytest.raises(SourceRefused, match="path prefix"):
        asked(settings_from(variables), lambda clients: clients.tempo.trace(TRACE))


def test_a_certificate_of_an_unknown_authority_is_told(cloud):
    variables = {name: value for name, value in cloud[1].items() if not name.endswith("CA_FILE")}
    with pytest.raises(SourceUnavailable, match="certificate is not trusted"):
        asked(settings_from(variables), SMALLEST["TEMPO"])


@pytest.mark.parametrize("source", SOURCES)
def test_too_many_requests_are_waited_out(cloud, source):
    service = cloud[0][source]
    service.busy, service.retry_after, before = 1, "1", len(service.asked)
    assert asked(settings_from(cloud[1]), SMALLEST[source])
    assert [status for _, _, status in service.asked[before:]] == [429, 200]


@pytest.mark.parametrize("source", SOURCES)
def test_a_wait_that_is_too_long_is_told(cloud, source):
    service = cloud[0][source]
    service.busy, service.retry_after, before = 9, "900", len(service.asked)
    try:
        with pytest.raises(SourceUnavailable) as caught:
            asked(settings_from(cloud[1]), SMALLEST[source])
    finally:
        service.busy = 0
    assert str(caught.value) == f"{NAMES[source]} is asked too much at the moment (429). It asks to wait 900 s."
    assert len(service.asked) == before + 1, "it is not asked again before it wants to be"


async def test_the_app_through_the_service(cloud, tmp_path):
    """Search, trace, alerts and an alert with its traces, by the settings as they stand on the page."""
    (tmp_path / "labels.yaml").write_text(LABELS)
    with mock.patch.dict(os.environ, cloud[1]):
        async with site.open(tmp_path, analysis={"labels_file": str(tmp_path / "labels.yaml")}) as here:
            analyst = await here.as_("analyst")

            async def read(path: str, **more: Any) -> str:
                answer = await analyst.get(path, **more)
                assert answer.status_code == 200, answer.text[:300]
                return answer.text

            found = await read("/search", params={"q": '{ span.user.name = "mallory" }', "last": "1h"})
            assert {TRACE, OTHER} <= {link.attributes.get("href", "")[8:40] for link in markup.elements(found, "a")}
            trace = await read(f"/traces/{TRACE}")
            assert "invalid_credentials" in trace
            assert "https://example.grafana.net/explore" in trace
            assert "grafana cloud" not in trace.lower()
            alerts = await read("/alerts")
            row = markup.one(alerts, "li", class_="alert-row")
            assert "mallory fails" in row.words
            address = markup.one(alerts, "a", class_="alert-row__name").attributes["href"]
            alert = await read(address)
            assert "Open in Grafana" in alert
            assert "Open in Prometheus" not in alert, "a service has no such page"
            behind = await _judged(lambda: read(f"{address}/traces", headers={"hx-request": "true"}))
            links = {link.attributes.get("href", "")[8:40] for link in markup.elements(behind, "a")}
            assert {TRACE, OTHER} <= links
    statuses = {name: {status for _, _, status in service.asked} for name, service in cloud[0].items()}
    assert all(200 in found for found in statuses.values())


async def _judged(asking: Callable[[], Awaitable[str]]) -> str:
    end = time.monotonic() + START_S
    while "delay:800ms" in (html := await asking()):
        assert time.monotonic() < end, "judging did not end"
        await asyncio.sleep(0.2)
    return html


async def test_a_wrong_token_is_told_on_the_page_and_the_others_go_on(cloud, tmp_path):
    with mock.patch.dict(os.environ, {**cloud[1], "CLEW_TEMPO__PASSWORD": ENDED}):
        async with site.open(tmp_path) as here:
            analyst = await here.as_("analyst")
            page = (await analyst.get("/search", params={"q": "{}", "last": "1h"})).text
            assert "the user name is not this product" in page
            assert ENDED not in page
            alerts = (await analyst.get("/alerts")).text
            assert "mallory" in markup.one(alerts, "li", class_="alert-row").words


# ------------------------------------------------------------------------------------------------------------ tenants


@pytest.fixture(scope="module")
def tenants(world):
    full = {"TEMPO": world.tempo.query, "PROMETHEUS": world.prometheus.url, "ALERTMANAGER": world.alertmanager.url}
    prefixes = {"TEMPO": "", "PROMETHEUS": "/prometheus", "ALERTMANAGER": "/alertmanager"}
    products = {name: Product({"security": full[name], "": world.empty[name]}, prefixes[name]) for name in SOURCES}
    with services(products, exported("## A Tempo or Mimir of your own, with tenants")) as found:
        yield found


@pytest.mark.parametrize("source", SOURCES)
def test_the_tenant_has_its_data(tenants, source):
    found = asked(settings_from(tenants[1]), SMALLEST[source])
    assert getattr(found, "traces", None) or getattr(found, "series", None) or found


@pytest.mark.parametrize("source", SOURCES)
def test_a_missing_tenant_is_told(tenants, source):
    variables = {**tenants[1], f"CLEW_{source}__TENANT": ""}
    with pytest.raises(SourceRefused) as caught:
        asked(settings_from(variables), SMALLEST[source])
    assert str(caught.value) == f"{NAMES[source]} asks which tenant is meant: set its tenant in Clew's settings."


def test_another_tenant_sees_nothing(tenants):
    variables = tenants[1] | {f"CLEW_{source}__TENANT": "shop" for source in SOURCES}

    async def asking(clients):
        assert (await SMALLEST["TEMPO"](clients)).traces == ()
        assert (await SMALLEST["PROMETHEUS"](clients)).series == ()
        assert (await SMALLEST["ALERTMANAGER"](clients)) == ()
        assert await clients.prometheus.alerts() == ()
        with pytest.raises(NotFound):
            await clients.tempo.trace(TRACE)

    asked(settings_from(variables), asking)


# ------------------------------------------------------------------------------------------------------- other services


def test_a_bearer_token_where_one_is_asked_for(world):
    product = Product(world.prometheus.url, tokens=TOKENS, scope=of_metrics)
    with services({"PROMETHEUS": product}, exported("## Others with Prometheus' API")) as (_, variables):
        assert asked(settings_from(variables), SMALLEST["PROMETHEUS"]).series
        with pytest.raises(SourceError, match=re.escape("credentials (401)")):
            asked(settings_from({**variables, "CLEW_PROMETHEUS__BEARER_TOKEN": ENDED}), SMALLEST["PROMETHEUS"])


def test_samples_and_exemplars_are_written_on_by_the_lines_of_the_page(tmp_path):
    (lines,) = yaml.safe_load(block("### Sending: the Collector", "yaml\n# prometheus.yml[^\n]*"))["remote_write"]
    token = tmp_path / "token"
    token.write_text(WRITE)
    receives = ("--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage")
    with MetricsApp() as metrics, start_prometheus(tmp_path / "receiver", flags=receives) as receiver:
        metrics.failing = 7
        push = Product(f"{receiver.url}/api/v1/write", "/api/prom/push", "222222", TOKENS, lambda method, path: "metrics:write")
        with ManagedBackend(push) as service:
            lines["url"] = re.sub(r"^https://[^/]+", service.url, lines["url"])
            lines["basic_auth"]["password_file"] = str(token)
            with start_prometheus(tmp_path / "sender", targets=[metrics.target], remote_write=[lines]):
                settings = load(prometheus={"url": receiver.url})
                until(settings, lambda clients: _series(clients, "app_failing"), "the sample did not arrive")
                until(settings, lambda clients: _exemplars(clients), "the exemplar did not arrive")
        assert {(method, path) for method, path, _ in service.asked} == {("POST", "/api/prom/push")}


async def _series(clients: Clients, query: str) -> object:
    return (await clients.prometheus.query(query)).series


async def _exemplars(clients: Clients) -> object:
    found = await clients.prometheus.query_exemplars("app_duration_seconds_bucket", now_ns() - 10 * MINUTE, now_ns())
    return found.exemplars


def test_what_grafana_tells_of_an_alert_is_understood():
    """Grafana's own webhook: Alertmanager's form with more in it, and a version of its own."""
    told = {
        "receiver": "clew", "status": "firing", "orgId": 1, "version": "1", "groupKey": "{}:{alertname=\"Failing\"}",
        "groupLabels": {"alertname": "Failing"}, "commonLabels": {"alertname": "Failing"}, "commonAnnotations": {},
        "externalURL": "https://example.grafana.net/", "truncatedAlerts": 0, "title": "[FIRING:1]", "state": "alerting",
        "message": "text", "alerts": [{
            "status": "firing", "labels": {"alertname": "Failing", "user": "mallory"}, "annotations": {"summary": "s"},
            "startsAt": "2026-11-22T06:07:36.568Z", "endsAt": "0001-01-01T00:00:00Z", "values": {"A": 7},
            "generatorURL": "https://example.grafana.net/alerting/grafana/x/view", "fingerprint": "412b653f57b878c0",
            "silenceURL": "https://example.grafana.net/alerting/silence/new", "valueString": "[ var='A' value=7 ]",
            "dashboardURL": "", "panelURL": "", "imageURL": "",
        }],
    }  # fmt: skip
    (alert,) = decode_webhook(msgspec.json.encode(told)).alerts
    assert (alert.labels["user"], alert.fingerprint, alert.ended_ns) == ("mallory", "412b653f57b878c0", None)
