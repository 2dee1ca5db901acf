"""The four examples as one chain, one part each in another language: one trace from end to end, each refusal at its layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kit import examples
from kit.examples import LANGUAGES, Call
from support.embedded_backend import EmbeddedBackend
from support.real_parts import RealPart

from app.analysis.verdict import Confidence, Decision, Layer, Outcome, Verdict
from app.traces.model import SpanKind, Trace

pytestmark = pytest.mark.kit

PARTS = {"policy": "go", "identity": "java", "orders": "python", "gateway": "node"}
LOG_IN, ALL = {"gateway", "identity"}, {"gateway", "identity", "orders", "policy"}
# Which services a call passes, and so must be in its trace.
PASSED = {
    "signed_in": LOG_IN, "own_order": ALL, "wrong_password": LOG_IN, "expired_token": LOG_IN, "missing_role": ALL,
    "other_customer": ALL,
}  # fmt: skip
# Layer, service and name of the deciding span, its reason. The statement that the database refused is a span of its asker's.
REFUSED = {
    "wrong_password": (Layer.IDENTITY_PROVIDER, "identity", "auth.login", "invalid_credentials"),
    "expired_token": (Layer.IDENTITY_PROVIDER, "identity", "auth.token_validate", "token_expired"),
    "missing_role": (Layer.POLICY_ENGINE, "policy", "auth.authorize", "policy_denied"),
    "other_customer": (Layer.DATABASE, "orders", "INSERT", "row-level security policy"),
}


class Played(msgspec.Struct):
    """The chain after the five calls, with names hashed; the log of each part by its name.

    without_policy: the same calls once more, after policy was ended.
    """

    calls: dict[str, Call]
    traces: dict[str, Trace]
    without_policy: dict[str, Trace]
    logs: dict[str, Path]

    def verdict(self, call: str) -> Verdict:
        return examples.judge(self.traces[call])


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("chain")
    programs = {part: examples.built(language, LANGUAGES[language]) for part, language in PARTS.items()}
    logs = {part: folder / f"{part}.log" for part in PARTS}
    with contextlib.ExitStack() as running:
        database = running.enter_context(examples.database())
        backend = EmbeddedBackend(folder / "spans").start()
        running.callback(backend.stop)

        def start(part: str, **environment: str) -> RealPart:
            started: RealPart = examples.start(programs[part], logs[part], backend, ROLE=part, **environment)
            return running.enter_context(started)

        policy = start("policy")
        identity = start("identity", DATABASE_URL=database)
        orders = start("orders", DATABASE_URL=database, POLICY_URL=policy.url)
        gateway = start("gateway", IDENTITY_URL=identity.url, ORDERS_URL=orders.url)
        calls = examples.make_the_calls(gateway.url)
        traces = examples.traces_of(backend, calls)
        policy.stop()
        broken = examples.make_the_calls(gateway.url)
        yield Played(calls, traces, examples.traces_of(backend, broken), logs)


def test_every_call_is_answered_as_by_one_service(played):
    assert [(call.call, call.status) for call in played.calls.values() if call.status != call.expected] == []
    assert set(played.calls) == set(PASSED)


@pytest.mark.parametrize("call", PASSED)
def test_one_trace_goes_from_end_to_end(played, call):
    """Four languages hand on one context: the gateway's server span is the only root, and no part is missing."""
    trace = played.traces[call]
    (root,) = [span for span in examples.spans(trace) if not span.parent_id]
    assert (root.service, root.kind) == ("gateway", SpanKind.SERVER)
    assert trace.defects == ()
    assert {span.service for span in examples.spans(trace)} == PASSED[call]


@pytest.mark.parametrize("call", ["signed_in", "own_order"])
def test_what_was_let_through_is_allowed(played, call):
    verdict = played.verdict(call)
    assert (verdict.outcome, verdict.confidence, examples.findings(verdict)) == (Outcome.ALLOWED, Confidence.HIGH, [])


@pytest.mark.parametrize("call", REFUSED)
def test_a_refusal_is_laid_at_the_door_that_was_shut(played, call):
    layer, service, name, reason = REFUSED[call]
    verdict, trace = played.verdict(call), played.traces[call]
    assert (verdict.outcome, verdict.layer, verdict.service) == (Outcome.DENIED, layer, service)
    assert verdict.confidence is Confidence.HIGH
    assert reason in verdict.reason
    decided = trace.by_id[verdict.span_id].span
    assert (decided.service, decided.name.split()[0]) == (service, name)
    if layer is Layer.DATABASE:
        assert decided.attributes["db.response.status_code"] == "42501"
        assert [one.target for one in verdict.layers if one.decision is Decision.DENY] == ["shop"]


@pytest.mark.parametrize("call", REFUSED)
def test_whoever_asks_is_the_same_at_every_hop(played, call):
    """Behind the gateway the client is who connected to it, not the hop before."""
    checks = [span for span in examples.spans(played.traces[call]) if span.name.startswith("auth.")]
    assert {span.attributes["client.address"] for span in checks} == {examples.CLIENT}
    assert played.verdict(call).client_address == examples.CLIENT


@pytest.mark.parametrize("call", PASSED)
def test_the_logs_of_every_hop_are_found_by_the_trace(played, call):
    told = {part: {line.get("trace_id") for line in examples.log_lines(log)} for part, log in played.logs.items()}
    telling = {part for part, ids in told.items() if played.calls[call].trace_id in ids}
    # The gateway decides nothing about a log-in, so it has nothing to tell.
    assert telling >= PASSED[call] - {"gateway"}


def test_neither_names_nor_secrets_are_told(played):
    told = [text for trace in played.traces.values() for text in examples.texts(trace)]
    told += [log.read_text() for log in played.logs.values()]
    assert [found for text in told for found in examples.SECRET.findall(text)] == []


@pytest.mark.parametrize("call", ["own_order", "missing_role", "other_customer"])
def test_nobody_has_refused_where_the_policy_engine_does_not_answer(played, call):
    verdict = examples.judge(played.without_policy[call])
    assert (verdict.outcome, verdict.layer, verdict.confidence) == (Outcome.ERROR, Layer.POLICY_ENGINE, Confidence.HIGH)


@pytest.mark.parametrize("call", ["wrong_password", "expired_token"])
def test_what_is_refused_before_is_refused_all_the_same(played, call):
    verdict = examples.judge(played.without_policy[call])
    assert (verdict.outcome, verdict.layer, verdict.service) == (Outcome.DENIED, *REFUSED[call][:2])
