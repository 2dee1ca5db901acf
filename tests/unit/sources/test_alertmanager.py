"""The Alertmanager client and the webhook's payload, against answers of the versions from 0.24 to 0.34."""

import json

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, SourceRefused, SourceUnreadable
from app.settings import AlertmanagerSettings
from app.sources.alertmanager import AlertmanagerClient
from app.sources.fingerprint import fingerprint
from app.sources.values import AlertState, BuildInfo
from app.sources.webhook import MAX_BYTES, decode_webhook
from app.times import SECOND, UnixNanos

T0 = 1_790_000_000 * SECOND

ALERT = {
    "labels": {"alertname": "A", "cluster": "prod"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-09-21T14:13:20.568Z",
    "endsAt": "2026-09-21T14:17:20.568Z",
    "updatedAt": "2026-09-21T14:13:20.569Z",
    "generatorURL": "http://prometheus/graph?g0.expr=up&g0.tab=1",
    "fingerprint": "fa77d69a7a3c4e55",
    "receivers": [{"name": "page"}, {"name": "mail"}],
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
    "novel": {"key": 1},
}


def client(handler) -> AlertmanagerClient:
    settings = AlertmanagerSettings.model_validate({"url": "http://alertmanager:9093", "attempts": 1})
    transport = httpx.MockTransport(handler if callable(handler) else lambda request: handler)
    return AlertmanagerClient(settings, transport=transport, clock=lambda: UnixNanos(T0))


async def test_a_live_alert_has_a_start_and_no_end():
    (alert,) = await client(httpx.Response(200, json=[ALERT])).alerts()
    assert alert.source == "alertmanager"
    assert alert.state is AlertState.FIRING
    assert alert.started_ns == T0 + 568_000_000
    assert alert.ended_ns is None
    assert alert.receivers == ("page", "mail")
    assert alert.fingerprint == "fa77d69a7a3c4e55"
    assert alert.generator_url == ALERT["generatorURL"]


async def test_a_silenced_alert_names_its_silence():
    silenced = ALERT | {"status": {"state": "suppressed", "silencedBy": ["uuid-1"], "inhibitedBy": []}}
    unprocessed = ALERT | {"status": {"state": "unprocessed"}}
    first, second = await client(httpx.Response(200, json=[silenced, unprocessed])).alerts()
    assert (first.state, first.silenced_by) == (AlertState.SUPPRESSED, ("uuid-1",))
    assert (second.state, second.silenced_by) == (AlertState.FIRING, ())


async def test_each_label_is_a_filter_of_its_own():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params.get_list("filter"))
        return httpx.Response(200, json=[])

    await client(handler).alerts({"b": 'x"} \\ \n', "a": "1"})
    assert seen == [['a="1"', 'b="x\\"} \\\\ \\n"']]


async def test_groups_hold_their_alerts():
    groups = [
        {"labels": {"alertname": "A"}, "receiver": {"name": "page"}, "alerts": [ALERT], "routeLabels": {}},
        {"labels": {}},
    ]
    first, second = await client(httpx.Response(200, json=groups)).groups()
    assert (first.labels, first.receiver, len(first.alerts)) == ({"alertname": "A"}, "page", 1)
    assert (second.receiver, second.alerts) == ("", ())


async def test_silences_write_their_matchers_in_alertmanagers_notation():
    matchers = [
        {"name": "alertname", "value": "A", "isRegex": False},
        {"name": "svc", "value": "a|b", "isRegex": True, "isEqual": True},
        {"name": "env", "value": 'te"st', "isRegex": False, "isEqual": False},
        {"name": "dc", "value": ".*", "isRegex": True, "isEqual": False},
    ]
    times = {"startsAt": "2026-09-21T14:13:20Z", "endsAt": "2026-09-21T15:13:20Z", "updatedAt": "2026-09-21T14:13:20Z"}
    row = {"id": "u", "matchers": matchers, "createdBy": "eve", "comment": "<b>", "status": {"state": "active"}, **times}
    (silence,) = await client(httpx.Response(200, json=[row])).silences()
    assert silence.matchers == ('alertname="A"', 'svc=~"a|b"', 'env!="te\\"st"', 'dc!~".*"')
    assert silence.ends_ns - silence.starts_ns == 3600 * SECOND
    assert (silence.created_by, silence.comment, silence.state) == ("eve", "<b>", "active")


async def test_status_and_readiness():
    answer = httpx.Response(200, json={"versionInfo": {"version": "0.25.0", "revision": "r"}, "cluster": {}, "uptime": "x"})
    assert await client(answer).build_info() == BuildInfo("Alertmanager", "0.25.0", "r")
    assert await client(httpx.Response(200, text="OK")).ready()
    assert not await client(httpx.Response(503, text="starting")).ready()

    def mimir(request: httpx.Request) -> httpx.Response:
        return answer if request.url.path == "/api/v2/status" else httpx.Response(404)

    assert await client(mimir).ready()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(400, json='bad matcher format: {a="b"}'), 'alerts: bad matcher format: {a="b"}.'),
        (
            httpx.Response(422, json={"code": 612, "message": "matchers in body should have at least 1 items"}),
            "at least 1 items.",
        ),
        (httpx.Response(410, text="The Alertmanager v1 API was deprecated"), "v1 API was deprecated."),
    ],
)
async def test_what_alertmanager_refuses_it_explains(answer, words):
    with pytest.raises(SourceRefused) as caught:
        await client(answer).alerts()
    assert words in str(caught.value)


async def test_a_time_that_is_none_is_unreadable():
    with pytest.raises(SourceUnreadable):
        await client(httpx.Response(200, json=[ALERT | {"startsAt": "soon"}])).alerts()


# ---------------------------------------------------------------------------------------------------------- webhook

FIRING = {
    "status": "firing",
    "labels": {"alertname": "Flappy", "user": "<script>"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-09-21T14:13:20.568Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "javascript:alert(1)",
    "fingerprint": "412b653f57b878c0",
}
PAYLOAD = {
    "version": "4",
    "groupKey": '{}:{alertname="Flappy"}',
    "truncatedAlerts": 3,
    "status": "firing",
    "receiver": "wh",
    "groupLabels": {"alertname": "Flappy"},
    "commonLabels": {"alertname": "Flappy"},
    "commonAnnotations": {},
    "externalURL": "http://am:9093",
    "alerts": [FIRING, FIRING | {"status": "resolved", "endsAt": "2026-09-21T14:14:20Z", "labels": {"alertname": "Flappy"}}],
    "notification_reason": "new",
    "routeLabels": {},
}


def test_each_alert_of_a_notification_has_its_own_state():
    notification = decode_webhook(json.dumps(PAYLOAD).encode())
    firing, resolved = notification.alerts
    assert (firing.source, firing.state, firing.ended_ns) == ("webhook", AlertState.FIRING, None)
    assert firing.started_ns == T0 + 568_000_000
    assert firing.fingerprint == "412b653f57b878c0"
    assert firing.receivers == ("wh",)
    assert (resolved.state, resolved.ended_ns) == (AlertState.RESOLVED, T0 + 60 * SECOND)
    assert notification.truncated_alerts == 3
    assert notification.group_key == '{}:{alertname="Flappy"}'
    assert notification.group_labels == {"alertname": "Flappy"}
    assert notification.external_url == "http://am:9093"


def test_only_alerts_with_labels_and_a_start_are_needed():
    bare = {"alerts": [{"labels": {"a": "b"}, "startsAt": "2026-09-21T14:13:20Z"}]}
    notification = decode_webhook(json.dumps(bare).encode())
    (alert,) = notification.alerts
    assert alert.state is AlertState.FIRING
    assert alert.fingerprint == fingerprint({"a": "b"})
    assert notification.receiver == ""
    assert decode_webhook(b'{"alerts": []}').alerts == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not a notification"),
        (b"{}", "missing required field `alerts`"),
        (b'{"text": "a custom payload"}', "missing required field `alerts`"),
        (b"[]", "expected `object`"),
        (b'{"alerts": [{"startsAt": "2026-09-21T14:13:20Z"}]}', "missing required field `labels`"),
        (b'{"alerts": [{"labels": {}, "startsAt": "now"}]}', "is not a time"),
        (b'{"alerts": [{"labels": {"a": 1}, "startsAt": ""}]}', "expected `str`"),
        (b'{"alerts": "\xff"}', "not a notification"),
        (b'{"alerts": ' + b"[" * 50_000, "not a notification"),
        (b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b', "alerts": []}', "not a notification"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_notification_is_told_politely(body, words):
    with pytest.raises(InvalidInput) as caught:
        decode_webhook(body)
    assert words in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_notification_or_the_senders_mistake(body):
    with pytest.raises(InvalidInput):
        decode_webhook(body)


# ------------------------------------------------------------------------------------------------------ fingerprint


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "cbf29ce484222325"),  # the offset of FNV-1a itself
        ({"alertname": "Always", "severity": "page"}, "abc866895e782c1f"),
    ],
)
def test_fingerprints(labels, expected):
    assert fingerprint(labels) == expected


def test_a_fingerprint_does_not_depend_on_order_and_tells_names_from_values():
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"ab": "c"}) != fingerprint({"a": "bc"})
