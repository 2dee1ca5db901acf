"""Each language's example, run as its users run it, and what Clew says of its five calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import jwt
import msgspec
import pytest
from kit import examples
from kit.examples import LANGUAGES, Call
from support.embedded_backend import EmbeddedBackend
from support.real_parts import RealPart

from app.analysis.verdict import Confidence, Decision, Layer, Outcome, Verdict
from app.traces.model import SpanKind, Trace

pytestmark = pytest.mark.kit

CALLS = ("signed_in", "own_order", "wrong_password", "expired_token", "missing_role", "other_customer")
# Layer, name of the deciding span, reason; the database's span has another name in every language.
REFUSED = {
    "wrong_password": (Layer.IDENTITY_PROVIDER, "auth.login", "bad_credentials"),
    "expired_token": (Layer.APPLICATION, "auth.token_validate", "token_expired"),
    "missing_role": (Layer.APPLICATION, "auth.permission_check", "access_denied"),
    "other_customer": (Layer.DATABASE, None, "row_policy"),
}
ADA, VICTOR = "u-7f3a91", "u-c204de"  # ids of the schema


class Played(msgspec.Struct):
    """One language's example after the five calls, with names hashed."""

    service: str
    url: str
    calls: dict[str, Call]
    traces: dict[str, Trace]
    log: Path

    def verdict(self, call: str) -> Verdict:
        return examples.judge(self.traces[call])


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with examples.database() as url:
        yield url


@pytest.fixture(scope="module")
def backend(tmp_path_factory) -> Iterator[EmbeddedBackend]:
    started = EmbeddedBackend(tmp_path_factory.mktemp("spans") / "data").start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module", params=list(LANGUAGES))
def language(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def played(language, database, backend, tmp_path_factory) -> Iterator[Played]:
    log = tmp_path_factory.mktemp(language) / "log"
    program = examples.built(language, LANGUAGES[language])
    with examples.start(program, log, backend, DATABASE_URL=database) as part:
        calls = examples.make_the_calls(part.url)
        yield Played(f"{language}-shop", part.url, calls, examples.traces_of(backend, calls), log)


def test_every_call_is_answered_as_it_should_be(played):
    assert {name: call.status for name, call in played.calls.items()} == {
        "signed_in": 200, "own_order": 200, "wrong_password": 401, "expired_token": 401, "missing_role": 403,
        "other_customer": 403,
    }  # fmt: skip


@pytest.mark.parametrize("call", ["signed_in", "own_order"])
def test_what_was_let_through_is_allowed_by_its_own_checks(played, call):
    verdict = played.verdict(call)
    assert (verdict.outcome, verdict.confidence) == (Outcome.ALLOWED, Confidence.HIGH)
    assert examples.findings(verdict) == []


@pytest.mark.parametrize("call", REFUSED)
def test_a_refusal_is_laid_at_the_right_door(played, call):
    layer, name, reason = REFUSED[call]
    verdict, trace = played.verdict(call), played.traces[call]
    assert (verdict.outcome, verdict.layer, verdict.service) == (Outcome.DENIED, layer, played.service)
    assert (verdict.reason_code, verdict.confidence) == (reason, Confidence.HIGH)
    (decided,) = [span for span in examples.spans(trace) if span.span_id == verdict.span_id]
    if layer is Layer.DATABASE:
        assert decided.kind is SpanKind.CLIENT
        assert decided.attributes["db.response.status_code"] == "42501"
        assert [one.target for one in verdict.layers if one.decision is Decision.DENY] == ["shop"]
    else:
        assert decided.name == name
    assert examples.findings(verdict) == []


@pytest.mark.parametrize(("call", "who"), [("own_order", ADA), ("expired_token", ADA), ("missing_role", VICTOR)])
def test_the_person_is_an_opaque_id_on_refusals_too(played, call, who):
    assert played.verdict(call).principal == who
    assert played.verdict(call).client_address == examples.CLIENT


@pytest.mark.parametrize("call", CALLS)
def test_the_trace_is_whole(played, call):
    """One server span at its head, everything else below it, and the framework's status for a 4xx left alone."""
    trace = played.traces[call]
    (root,) = [span for span in examples.spans(trace) if not span.parent_id]
    assert root.kind is SpanKind.SERVER
    assert root.status.name == "UNSET"
    assert trace.defects == ()
    assert {span.service for span in examples.spans(trace)} == {played.service}


@pytest.mark.parametrize("call", CALLS)
def test_the_log_of_a_call_is_found_by_its_trace(played, call):
    spans = {span.span_id for span in examples.spans(played.traces[call])}
    lines = [line for line in examples.log_lines(played.log) if line.get("trace_id") == played.calls[call].trace_id]
    assert lines
    for line in lines:
        assert line["severity"]
        assert line["message"]
        assert line["span_id"] in spans


def test_neither_names_nor_secrets_are_told(played):
    """With USER_HASH_KEY set. Customers are named in the data, not in the telemetry."""
    told = [text for trace in played.traces.values() for text in examples.texts(trace)] + [played.log.read_text()]
    assert [found for text in told for found in examples.SECRET.findall(text)] == []
    for call in ("signed_in", "wrong_password"):
        assert any("user.hash" in span.attributes for span in examples.spans(played.traces[call]))


def test_a_forged_token_is_refused_for_what_it_is(played, backend):
    """Signed with another key, signed with none, cut short, and not there: none of them names a person."""
    claims = {"sub": ADA, "role": "clerk", "customer": "ada", "iss": "shop", "iat": 1, "exp": 4_000_000_000}
    forged = {
        "other_key": jwt.encode(claims, "not the key of this test, but long enough", algorithm="HS256"),
        "no_signature": jwt.encode(claims, None, algorithm="none"),
        "other_issuer": jwt.encode({**claims, "iss": "elsewhere"}, examples.TOKEN_KEY, algorithm="HS256"),
        "cut": jwt.encode(claims, examples.TOKEN_KEY, algorithm="HS256")[:-4],
        "missing": "",
    }
    calls = {}
    for name, token in forged.items():
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = httpx.get(f"{played.url}/orders/1", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()) == (401, {"error": "token_invalid"}), name
        calls[name] = Call(name, "GET", "/orders/1", 401, 401, answer.headers["x-trace-id"])
    for name, trace in examples.traces_of(backend, calls).items():
        verdict = examples.judge(trace)
        assert (verdict.outcome, verdict.reason, verdict.principal) == (Outcome.DENIED, "token_invalid", None), name


def test_an_unknown_name_gets_the_answer_of_a_wrong_password(played, backend):
    """What tells them apart stands in the trace only."""
    answer = httpx.post(f"{played.url}/login", json={"name": "nobody", "password": "x"}, trust_env=False)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_credentials"})
    call = Call("unknown", "POST", "/login", 401, 401, answer.headers["x-trace-id"])
    verdict = examples.judge(examples.traces_of(backend, {"unknown": call})["unknown"])
    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, "unknown_user")


def test_health_checks_leave_no_traces(played, backend):
    found = backend.get("/api/search", q=f'{{ resource.service.name = "{played.service}" && span.url.path = "/healthz" }}')
    assert found.json()["traces"] == []


def test_without_its_settings_it_writes_names_and_believes_no_forwarded_address(language, database, backend, tmp_path):
    program = examples.built(language, LANGUAGES[language])
    plain = {"USER_HASH_KEY": "", "TRUST_FORWARDED_FOR": ""}
    with examples.start(program, tmp_path / "log", backend, DATABASE_URL=database, **plain) as part:
        calls = examples.make_the_calls(part.url)
        trace = examples.traces_of(backend, {"signed_in": calls["signed_in"]})["signed_in"]
    (login,) = [span for span in examples.spans(trace) if span.name == "auth.login"]
    assert (login.attributes["user.name"], login.attributes["client.address"]) == ("ada", "127.0.0.1")
    assert "user.hash" not in login.attributes
    told = [span.attributes.get("client.address") for span in examples.spans(trace)]
    assert {address for address in told if address} == {"127.0.0.1"}  # nor does the framework's own span


def test_the_last_spans_are_sent_before_it_ends(language, database, backend, tmp_path):
    """A service is stopped for a new version all the time; what was refused just before that is not lost."""
    program = examples.built(language, LANGUAGES[language])
    patient = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with examples.start(program, tmp_path / "log", backend, DATABASE_URL=database, **patient) as part:
        calls = examples.make_the_calls(part.url)
    assert examples.traces_of(backend, calls).keys() == calls.keys()


def test_a_service_without_a_key_for_tokens_does_not_start(language, database, backend, tmp_path):
    program = examples.built(language, LANGUAGES[language])
    part: RealPart | None = None
    with pytest.raises(AssertionError, match="TOKEN_KEY"):
        part = examples.start(program, tmp_path / "log", backend, DATABASE_URL=database, TOKEN_KEY="short")
    assert part is None
