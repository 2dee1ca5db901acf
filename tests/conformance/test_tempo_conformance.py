"""The embedded backend, run for real, against what a real Tempo 3.0.3 answered to the same questions about the same data."""

from __future__ import annotations

import base64
import json
import time

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2
from support.embedded_backend import EmbeddedBackend
from support.recorded_tempo import ANSWERS
from support.tempo_compare import difference, unshifted
from support.tempo_dataset import BASE_S, requests, shifted

QUESTIONS = sorted(str(path.relative_to(ANSWERS).with_suffix("")) for path in ANSWERS.rglob("*.json"))
# Into the recent past, by whole hours, so that steps of time fall as they did.
SHIFT_S = (int(time.time()) - 1900 - BASE_S) // 3600 * 3600


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    backend = EmbeddedBackend(tmp_path_factory.mktemp("spans")).start()
    for request in requests():
        answer = backend.export(shifted(request, SHIFT_S))
        assert answer.json() == {"partialSuccess": {}}
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def disagreements(backend):
    """Every question asked once; the ones answered differently, with the difference."""
    found = {}
    for name in QUESTIONS:
        expected = json.loads((ANSWERS / f"{name}.json").read_text())
        why = difference(name, expected, _asked(backend, expected))
        if why:
            found[name] = why
    print(f"\n{len(QUESTIONS) - len(found)} of {len(QUESTIONS)} answers agree with Tempo 3.0.3")
    return found


def _asked(backend, question):
    params = {key: value + SHIFT_S if key in ("start", "end") else value for key, value in question["params"].items()}
    answer = backend.client.get(backend.query + question["path"], params=params, headers=question["headers"])
    got = {"status": answer.status_code, "content_type": answer.headers.get("content-type", "")}
    if "json" in got["content_type"]:
        got["json"] = unshifted(answer.json(), SHIFT_S)
    return got


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_as_tempo_does(disagreements, name):
    assert name not in disagreements, disagreements[name]


def test_nothing_is_missing_from_the_questions():
    assert len(QUESTIONS) == 161


@pytest.mark.parametrize("name", ["11111111111111111111111111111111", "88888888888888888888888888888888"])
def test_protobuf_carries_the_same_spans(backend, name):
    """tempo_compare.py leaves protobuf bodies out; decoded, they must be the recorded ones."""
    recorded = json.loads((ANSWERS / "trace-v1-pb" / f"{name}.json").read_text())
    body = backend.client.get(f"{backend.query}/api/traces/{name}", headers={"accept": "application/protobuf"}).content
    expected = trace_pb2.TracesData.FromString(base64.b64decode(recorded["base64"]))
    assert _spans(trace_pb2.TracesData.FromString(body), SHIFT_S) == _spans(expected, recorded["shift_s"])


def _spans(data, shift_s):
    out = {}
    for batch in data.resource_spans:
        for group in batch.scope_spans:
            for span in group.spans:
                span.start_time_unix_nano -= shift_s * 10**9
                span.end_time_unix_nano -= shift_s * 10**9
                for event in span.events:
                    event.time_unix_nano -= shift_s * 10**9
                attributes = sorted(pair.SerializeToString() for pair in span.attributes)
                del span.attributes[:]
                out[span.span_id] = (span.SerializeToString(deterministic=True), attributes, group.scope.name)
    return out
