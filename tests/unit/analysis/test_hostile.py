"""Everything in a trace is untrusted: there is a verdict, it names spans that exist, and it hides secrets."""

import json
import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.draw import judged

from app.analysis.examine import Context, examine
from app.analysis.verdict import Verdict
from app.times import UnixNanos
from app.traces.build import build
from app.traces.model import Event, Link, Resource, Scope, Span, SpanKind, Status
from app.traces.otlp import Decoded

TRACE = "a" * 32
BASE = 1_790_000_000_000_000_000
RESOURCES = [Resource(name, {"service.name": name}) for name in ("edge-gateway", "orders", "policy", "identity", "worker")]
SCOPES = [Scope(name, "", {}) for name in ("", "envoy", "kong-internal", "openfga/pkg/server", "nginx",
                                           "@opentelemetry/instrumentation-express", "@fastify/otel")]  # fmt: skip
SECRET = "hunter2-9f41-canary"


def verdict_of(spans: list[Span], **kw) -> Verdict:
    return examine(build(Decoded(spans, **kw)))


def spans_named(verdict: Verdict) -> set[str]:
    named = {verdict.span_id, *(f.span_id for f in verdict.findings), *(e.span_id for e in verdict.side_effects)}
    named |= {hop.span_id for hop in verdict.path} | {g.span_id for g in verdict.grounds} | {e.span_id for e in verdict.layers}
    named |= {place.span_id for place in (verdict.entry, verdict.enforced_by) if place is not None}
    return named - {None, ""}


# ------------------------------------------------------------------------------------------------------------ generated

values = st.one_of(
    st.sampled_from(
        ["failure", "success", "deny", "allow", "false", "true", "403", "401", "429", "500", "200", "UAEX", "-", "proxy", "*",
         "ext_authz_unauthorized", "kafka", "postgresql", "redis", "grpc", "aws-api", "7", "PERMISSION_DENIED",
         "http://opa:8181/v1/data/x", "https://login.example/oauth2/token", "/relation-tuples/check", "/login",
         f"password={SECRET}", "\x00\u202e\x1b[31m", "A" * 5000]
    ),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.binary(max_size=8),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)  # fmt: skip
keys = st.sampled_from(
    ["auth.result", "auth.failure_reason", "authz.decision", "http.response.status_code", "http.status_code", "url.full",
     "url.path", "http.request.method", "rpc.system", "rpc.grpc.status_code", "rpc.method", "db.system", "db.statement",
     "db.operation", "messaging.system", "messaging.destination.name", "component", "response_flags", "ext_authz_status",
     "ext_authz_http_status", "allowed", "error.type", "peer.service", "server.address", "express.type", "express.name",
     "fastify.type", "nestjs.type", "client.address", "user.name", "auth.subject", "http.response.header.location", "password",
     "graphql.operation.type", "waf.action", "rpc.service", "result.allow", "x"]
)  # fmt: skip
names = st.sampled_from(
    ["auth.permission_check", "auth.login", "GET /x", "Check", "BatchCheck", "shadowV2Check", "kong", "kong.access.plugin.jwt",
     "kong.balancer", "AuthRequest", "PermissionGuard", "authorize request", "middleware - a", "SELECT", "handler",
     "JWT Remote PubKey Fetch", "graphql.resolve a", "archive one", ""]
)  # fmt: skip
times = st.sampled_from([0, 1, BASE, BASE + 10**6, BASE + 5 * 10**6, BASE + 10**9, BASE - 10**12, 9_223_372_036_854_775_807])
events = st.builds(
    Event,
    st.sampled_from(["exception", "LOGIN_ERROR", "LoginFailed", "x"]),
    times.map(UnixNanos),
    st.dictionaries(
        st.sampled_from(["exception.type", "exception.message", "kc.realmName", "kc.eventError"]), values, max_size=3
    ),
)


@st.composite
def traces(draw) -> list[Span]:
    count = draw(st.integers(1, 9))
    spans = []
    for number in range(1, count + 1):
        parent = draw(st.integers(0, count + 1))  # itself, a later span, none, or one that is not there
        start, end = draw(times), draw(times)
        spans.append(
            Span(
                TRACE, f"{number:016x}", f"{parent:016x}" if parent else "", draw(names), draw(st.sampled_from(SpanKind)),
                UnixNanos(start), UnixNanos(end), draw(st.dictionaries(keys, values, max_size=5)),
                draw(st.sampled_from(RESOURCES)), draw(st.sampled_from(SCOPES)), draw(st.sampled_from(Status)),
                draw(st.sampled_from(["", "Forbidden", "permission denied for table t", f"token={SECRET}"])),
                tuple(draw(st.lists(events, max_size=2))),
                (Link(TRACE, f"{parent:016x}", {}),),
            )
        )  # fmt: skip
    return draw(st.permutations(spans))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(traces(), st.booleans())
def test_any_trace_gets_a_verdict_that_names_spans_of_the_trace_and_no_secret(spans, partial):
    verdict = verdict_of(spans, partial=partial)
    assert spans_named(verdict) <= {span.span_id for span in spans}
    encoded = msgspec.json.encode(verdict).decode()
    assert SECRET not in encoded
    assert json.loads(encoded)["outcome"] == verdict.outcome
    if verdict.outcome in ("allowed", "no_auth_evidence", "inconclusive"):
        assert (verdict.layer, verdict.phase, verdict.service, verdict.span_id, verdict.reason) == (None,) * 5
    else:
        assert verdict.layer is not None
        assert verdict.span_id is not None
    assert len(verdict.because) == len(verdict.grounds)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(traces(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(spans, random):
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert verdict_of(spans) == verdict_of(shuffled)


# --------------------------------------------------------------------------------------------------------------- shapes


def span(number: int, parent: int, kind=SpanKind.INTERNAL, service=0, name="step", **attributes) -> Span:
    spelled = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span(TRACE, f"{number:016x}", f"{parent:016x}" if parent else "", name, kind, UnixNanos(BASE + number),
                UnixNanos(BASE + 10**9 - number), spelled, RESOURCES[service], SCOPES[0])  # fmt: skip


def test_a_chain_of_twenty_thousand_relays_is_followed_to_its_end():
    depth = 20_000
    spans = [span(1, 0, SpanKind.SERVER, http__response__status_code=403)]
    for number in range(2, depth, 2):
        spans.append(span(number, number - 1, SpanKind.CLIENT, number // 2 % 3, http__response__status_code=403))
        spans.append(span(number + 1, number, SpanKind.SERVER, (number // 2 + 1) % 3, http__response__status_code=403))
    spans.append(span(depth + 5, depth - 1, name="auth.permission_check", auth__result="failure"))
    verdict = verdict_of(spans)
    assert (verdict.outcome, verdict.span_id) == ("denied", f"{depth + 5:016x}")


def test_a_fan_of_twenty_thousand_checks_is_a_probe():
    spans = [span(1, 0, SpanKind.SERVER, http__response__status_code=200)]
    for number in range(2, 20_000):
        result = "success" if number % 2 else "failure"
        spans.append(span(number, 1, name="auth.permission_check", auth__result=result))
    assert verdict_of(spans).outcome == "allowed"


def test_a_circle_of_refusals_ends():
    spans = [span(n, n % 50 + 1, SpanKind.SERVER, n % 3, http__response__status_code=403) for n in range(1, 51)]
    verdict = verdict_of(spans)
    assert "parent_cycle" in {f.kind for f in verdict.findings}


def test_a_value_of_a_megabyte_is_cut_where_it_is_shown():
    huge = "missing role " + "A" * 2**20
    trace = judged("orders: GET /x  403")
    spans = [
        span(1, 0, SpanKind.SERVER, http__response__status_code=403),
        span(2, 1, name="auth.permission_check", auth__result="failure", auth__failure_reason=huge, auth__subject=huge),
    ]
    verdict = verdict_of(spans)
    assert verdict.reason_code == "role_missing"
    assert len(msgspec.json.encode(verdict)) < 20_000
    assert trace.outcome == "denied"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e308, -0.0, 2**62, "", "٤٠٣", "403 ", "0x193", [], {}, b"\xff"]
)
def test_a_status_that_is_no_status_is_none(value):
    verdict = verdict_of([span(1, 0, SpanKind.SERVER, http__response__status_code=value)])
    assert verdict.entry.status is None


def test_every_finding_and_effect_is_bounded():
    spans = [span(1, 0, SpanKind.SERVER, http__response__status_code=200)]
    for number in range(2, 4000, 2):
        spans.append(span(number, 1, SpanKind.CLIENT, http__request__method="POST", url__full=f"http://p{number}/x",
                          http__response__status_code=201, user__email=f"u{number}@shop.example"))  # fmt: skip
    verdict = verdict_of(spans)
    assert len(verdict.findings) < 400
    assert len(verdict.side_effects) == 500
    assert any("not listed" in sentence for sentence in verdict.because)


def test_markup_and_control_characters_change_nothing_about_who_decided():
    trace = judged("""
        orders: GET /x  403
          orders: auth.permission_check  auth=refused "because=missing role x <img src=x onerror=alert(1)>" @check
    """)
    assert (trace.origin, trace.reason_code) == ("check", "role_missing")
    assert trace.reason.startswith("missing role x <img")


def test_a_house_that_knows_nothing_and_one_that_knows_much_agree_on_the_origin():
    drawing = "orders: GET /x  403\n  orders: auth.permission_check  auth=refused because=no  @check"
    assert judged(drawing).origin == judged(drawing, known_services=frozenset({"a", "b"})).origin == "check"
    assert Context().known_services == frozenset()
