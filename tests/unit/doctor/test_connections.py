"""Sources as they answer, and as they do not."""

import email.utils

import httpx2 as httpx
import msgspec
import pytest
from support.doctor_facts import CONNECTIONS, facts, found, unknown

from app.doctor import connections
from app.doctor.finding import Severity
from app.doctor.report import Feature
from app.investigation.sources import Sources
from app.settings import AlertmanagerSettings, PrometheusSettings, TempoSettings
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import SECOND, UnixNanos

NOW = UnixNanos(1_790_000_000 * SECOND)


def told(handler, kind=TempoClient, settings=TempoSettings, *, clock=NOW, **given):
    return kind(
        settings(url="http://source:1", attempts=1, **given), transport=httpx.MockTransport(handler), clock=lambda: clock
    )


async def tempo(handler, **given):
    return (await connections.ask(Sources(tempo=told(handler, **given)), NOW))[0]


def answering(status=200, json=None, text="", headers=None):
    def handler(request):
        if request.url.path == "/api/echo":
            return httpx.Response(200, text="echo", headers=headers)
        body = {"json": json} if json is not None else {"text": text}
        return httpx.Response(status, headers=headers, **body)

    return handler


def dated(ahead_s):
    return {"Date": email.utils.formatdate(NOW // SECOND + ahead_s, usegmt=True)}


async def test_a_source_that_is_not_set_up_is_neither_up_nor_down():
    first = (await connections.ask(Sources(), NOW))[0]
    assert (first.source, first.configured, first.reachable) == ("Tempo", False, None)
    assert first.remedy == "Set CLEW_TEMPO__URL."


async def test_a_tempo_that_answers_has_version_clock_and_features():
    def handler(request):
        body = {
            "/api/echo": {"text": "echo"},
            "/api/status/buildinfo": {"json": {"version": "3.0.3"}},
            "/api/search": {"json": {"traces": []}},
            "/api/metrics/query": {"json": {"series": []}},
        }.get(request.url.path, {"json": {"tagValues": []}})
        return httpx.Response(200, headers=dated(0), **body)

    one = await tempo(handler)
    assert (one.reachable, one.authorised, one.version, one.clock_ns, one.problem) == (True, True, "Tempo 3.0.3", 0, "")
    assert {feature.name: feature.has for feature in one.features} == {
        "search": True, "TraceQL metrics": True, "tag values": True
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "text", "remedy"),
    [
        (401, "who are you", "CLEW_TEMPO__BEARER_TOKEN"),
        (401, "no org id", "CLEW_TEMPO__TENANT"),
        (404, "", "path prefix"),
        (500, "broken", "log of Tempo"),
    ],
)
async def test_what_went_wrong_comes_with_what_to_do(status, text, remedy):
    one = await tempo(answering(status, text=text))
    assert one.reachable
    assert one.authorised is {401: False, 404: True, 500: None}[status]
    assert remedy in one.remedy


async def test_nobody_there():
    def handler(request):
        raise httpx.ConnectError("connection refused", request=request)

    one = await tempo(handler)
    assert (one.reachable, one.authorised) == (False, None)
    assert "curl http://source:1/api/echo" in one.remedy


async def test_another_product_at_the_address():
    one = await tempo(answering(200, text="<html>log in</html>", headers={"Content-Type": "text/html"}))
    assert "CLEW_TEMPO__URL is Tempo's own address" in one.remedy


@pytest.mark.parametrize(("ahead_s", "seconds"), [(0, 0), (2, 0), (-2, 0), (90, 90), (-400, -400)])
async def test_the_clock_is_read_from_the_date_of_an_answer(ahead_s, seconds):
    one = await tempo(answering(200, json={"traces": []}, headers=dated(ahead_s)))
    assert abs(one.clock_ns - seconds * SECOND) <= SECOND


async def test_prometheus_and_alertmanager_tell_what_they_can_do():
    def prometheus(request):
        data = {
            "/api/v1/status/flags": {"enable-feature": ""},
            "/api/v1/rules": {"groups": []},
            "/api/v1/alertmanagers": {"activeAlertmanagers": [{"url": "http://am:9093"}]},
            "/api/v1/status/buildinfo": {"version": "2.42.0"},
        }.get(request.url.path, {"resultType": "vector", "result": []})
        return httpx.Response(200, json={"status": "success", "data": data})

    def alertmanager(request):
        if request.url.path == "/api/v2/status":
            return httpx.Response(200, json={"config": {"original": "url: http://clew/hooks/alertmanager"}})
        return httpx.Response(200, json=[])

    sources = Sources(
        prometheus=told(prometheus, PrometheusClient, PrometheusSettings),
        alertmanager=told(alertmanager, AlertmanagerClient, AlertmanagerSettings, webhook_token="t"),
    )
    _, metrics, alerts = await connections.ask(sources, NOW)
    assert {feature.name: feature.has for feature in metrics.features} == {
        "exemplars": False, "alerting rules": False, "alert history (ALERTS)": None, "receiver of alerts": True
    }  # fmt: skip
    assert [(feature.name, feature.has) for feature in alerts.features] == [("webhook to Clew", True)]


# ------------------------------------------------------------------------------------------------------------ findings


def changed(source, **fields):
    return facts(
        connections=tuple(msgspec.structs.replace(one, **fields) if one.source == source else one for one in CONNECTIONS)
    )


@pytest.mark.parametrize(
    ("source", "configured", "severity"),
    [
        ("Tempo", True, Severity.BROKEN),
        ("Prometheus", True, Severity.BROKEN),
        ("Alertmanager", True, Severity.HARMFUL),
        ("Tempo", False, Severity.BROKEN),
        ("Prometheus", False, Severity.WEAK),
        ("Alertmanager", False, Severity.NOTE),
    ],
)
def test_how_bad_it_is_depends_on_what_clew_can_do_without_it(source, configured, severity):
    about = changed(source, configured=configured, problem=f"{source} did not answer.", remedy="Start it.")
    [finding] = found(f"connection.{source.lower()}", about)
    assert (finding.severity, finding.remedy) == (severity, "Start it.")


@pytest.mark.parametrize(("seconds", "severity"), [(5, Severity.WEAK), (-90, Severity.HARMFUL)])
def test_a_clock_that_is_off(seconds, severity):
    [finding] = found("connection.clock", changed("Prometheus", clock_ns=seconds * SECOND))
    assert finding.severity is severity
    assert ("ahead of" if seconds > 0 else "behind") in finding.title


def test_clocks_that_nobody_told_are_not_fine():
    silent = tuple(msgspec.structs.replace(one, clock_ns=None) for one in CONNECTIONS)
    assert unknown("connection.clock", facts(connections=silent))


def test_a_feature_that_is_missing_says_what_it_would_buy():
    feature = Feature("exemplars", False, "an alert leads to its traces at once", "Switch it on.")
    [finding] = found("connection.features", changed("Prometheus", features=(feature,)))
    assert (finding.severity, finding.remedy) == (Severity.WEAK, "Switch it on.")
    assert "traces at once" in finding.detail
