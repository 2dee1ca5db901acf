"""Answers damaged at random: each is read, or is one of our errors. CLEW_FUZZ sets how many per question."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Awaitable, Callable

import httpx2 as httpx
import pytest
from support.recorded_tempo import END_S, START_S, recorded

from app.errors import InvalidInput, NotFound, SourceError
from app.settings import AlertmanagerSettings, PrometheusSettings, TempoSettings
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.sources.webhook import decode_webhook
from app.times import SECOND

COUNT = int(os.environ.get("CLEW_FUZZ", "300"))
START, END = START_S * SECOND, END_S * SECOND

ALERT = {"labels": {"alertname": "A"}, "annotations": {}, "startsAt": "2026-09-21T14:13:20Z", "endsAt": "2026-09-21T14:13:20Z"}


def data(value: object) -> dict[str, object]:
    return {"status": "success", "data": value, "warnings": ["w"]}


VECTOR = data({"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1790000000.5, "1"]}] * 3})
MATRIX = data({"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[1790000000, "1"], [1790000015, "NaN"]]}]})
EXEMPLARS = data([{"seriesLabels": {}, "exemplars": [{"labels": {"trace_id": "ab"}, "value": "1", "timestamp": 1790000000.1}]}])
RULE = {"type": "alerting", "name": "A", "query": "x", "duration": 1, "labels": {"a": "b"}}
RULES = data({"groups": [{"name": "g", "file": "f", "interval": 1, "rules": [RULE]}]})
ALERTS = data({"alerts": [{"labels": {"a": "b"}, "state": "firing", "activeAt": "2026-09-21T14:13:20Z", "value": "1e+00"}]})
TARGETS = data({"activeTargets": [{"labels": {"a": "b"}, "health": "up", "lastScrape": "2026-09-21T14:13:20Z"}]})
MATCHER = {"name": "a", "value": "b", "isRegex": False}
SILENCE = {"id": "i", "matchers": [MATCHER], "startsAt": "2026-09-21T14:13:20Z", "endsAt": "2026-09-21T14:13:20Z"}

Question = Callable[..., Awaitable[object]]
QUESTIONS: dict[str, tuple[type, object, Question]] = {
    "trace": (TempoClient, recorded("trace-v2/" + "8" * 32)["json"], lambda c: c.trace("8" * 32)),
    "search": (TempoClient, recorded("search/limit-5")["json"], lambda c: c.search("{}", START, END)),
    "tag names": (TempoClient, recorded("tags-resource")["json"], lambda c: c.tag_names()),
    "tag values": (TempoClient, recorded("tag-values/kind")["json"], lambda c: c.tag_values("kind")),
    "trace metrics": (TempoClient, recorded("metrics-instant/topk")["json"], lambda c: c.metrics_instant("{}", START, END)),
    "vector": (PrometheusClient, VECTOR, lambda c: c.query("x")),
    "matrix": (PrometheusClient, MATRIX, lambda c: c.query_range("x", START, END, 15)),
    "exemplars": (PrometheusClient, EXEMPLARS, lambda c: c.query_exemplars("x", START, END)),
    "rules": (PrometheusClient, RULES, lambda c: c.rules()),
    "alerts": (PrometheusClient, ALERTS, lambda c: c.alerts()),
    "targets": (PrometheusClient, TARGETS, lambda c: c.targets()),
    "alertmanager": (AlertmanagerClient, [ALERT | {"status": {"state": "active"}}], lambda c: c.alerts()),
    "groups": (AlertmanagerClient, [{"labels": {}, "alerts": [ALERT]}], lambda c: c.groups()),
    "silences": (AlertmanagerClient, [SILENCE], lambda c: c.silences()),
}
SETTINGS = {TempoClient: TempoSettings, PrometheusClient: PrometheusSettings, AlertmanagerClient: AlertmanagerSettings}

TOKENS = [
    b"null", b"{}", b"[]", b'""', b"-1", b"1e999", b"99999999999999999999999", b"NaN", b"true", b'"\\ud800"', b"\xff", b"\0",
    b'"NaN"', b'"-Infinity"', b"[" * 3000, b'{"a":' * 3000, b'"2026-99-99T99:99:99Z"', b'"0001-01-01T00:00:00Z"', b"0.5", b"\\",
]  # fmt: skip


def damaged(body: bytes, chance: random.Random) -> bytes:
    """A few changes: bytes flipped, cut out, doubled, or a value replaced by another one."""
    out = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0 if out:
                out[at % len(out)] = chance.randrange(256)
            case 1:
                del out[at : at + chance.randint(1, 30)]
            case 2:
                out[at:at] = out[at : at + chance.randint(1, 200)]
            case 3:
                out[at:at] = chance.choice(TOKENS)
            case _:
                # Where a value begins, so that the result is still JSON more often than not.
                colon = out.find(b":", at)
                end = next((i for i in range(colon + 1, len(out)) if out[i : i + 1] in b",}]"), len(out))
                out[colon + 1 : end] = chance.choice(TOKENS)
    return bytes(out)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_damaged_answer_is_read_or_refused(name):
    kind, sample, question = QUESTIONS[name]
    chance = random.Random(name)
    body = b""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"Content-Type": "application/json"})

    settings = SETTINGS[kind].model_validate({"url": "http://source", "attempts": 1})
    client = kind(settings, transport=httpx.MockTransport(handler))
    whole = json.dumps(sample).encode()
    read = 0
    told = []
    for _ in range(COUNT):
        body = damaged(whole, chance)
        try:
            await question(client)
            read += 1
        except (SourceError, NotFound, InvalidInput) as error:
            told.append(str(error))
    body = whole
    await question(client)
    # Neither is everything refused, nor is anything taken.
    assert 0 < read < COUNT
    assert max(map(len, told)) < 600


def test_a_damaged_notification_is_read_or_refused():
    chance = random.Random(5)
    whole = json.dumps({"receiver": "r", "alerts": [ALERT, ALERT | {"status": "resolved"}], "truncatedAlerts": 0}).encode()
    read = 0
    told = []
    for _ in range(COUNT):
        try:
            decode_webhook(damaged(whole, chance))
            read += 1
        except InvalidInput as error:
            told.append(str(error))
    assert 0 < read < COUNT
    assert max(map(len, told)) < 600
