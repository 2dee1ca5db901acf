"""Silence is neither consent nor denial: what the trace cannot show, and when a hop is the origin all the same."""

import pytest
from support.draw import judged


def test_nothing_that_speaks_of_authentication_is_no_evidence():
    trace = judged("""
        gateway: GET /products  200
          gateway: > GET http://catalog:8080/products  200
            catalog: GET /products  200
              catalog: SELECT products
    """)
    assert (trace.outcome, trace.layer, trace.span_id, trace.confidence) == ("no_auth_evidence", None, None, "high")


def test_a_leaf_that_answered_403_and_called_nobody_is_the_origin_by_protocol():
    trace = judged("""
        gateway: GET /audit  403
          gateway: > GET http://audit:8080/audit  403
            audit: GET /audit  403  @audit
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.confidence) == ("denied", "audit", "application", "medium")


@pytest.mark.parametrize(
    "call",
    [
        "docs: SELECT owners",
        "docs: > GET http://identity/.well-known/jwks.json  200",
        "docs: send docs.read",
        "docs: GET session  kind=client db.system=redis",
    ],
    ids=["database read", "keys", "message", "cache"],
)
def test_what_cannot_have_refused_does_not_count(call):
    trace = judged(f"""
        docs: GET /docs/7  403  @docs
          {call}
    """)
    assert (trace.outcome, trace.origin, trace.confidence) == ("denied", "docs", "medium")


@pytest.mark.parametrize(
    "call",
    [
        "docs: > GET http://entitlements:8080/entitlements/7  200",
        "docs: > GET http://members:8080/members/7  404",
        "docs: > GET http://legacy-crm:8080/crm/7",
    ],
    ids=["a 200 may hide a no", "so may a 404", "no status at all"],
)
def test_a_callee_that_may_have_said_no_leaves_it_open(call):
    trace = judged(f"""
        docs: GET /docs/7  403
          {call}
    """)
    assert (trace.outcome, trace.layer, trace.span_id, trace.reason) == ("inconclusive", None, None, None)
    assert trace.settles


def test_a_callee_that_said_yes_cannot_have_refused():
    trace = judged("""
        docs: GET /docs/7  403  @docs
          docs: > POST http://policy/v1/decide  200
            policy: POST /v1/decide  200 authz.decision=allow
    """)
    assert (trace.outcome, trace.origin) == ("denied", "docs")


def test_spans_orphaned_below_the_refusal_leave_it_open():
    trace = judged("""
        orders: GET /x  403
          orders: handler  drop
            orders: > GET http://acl:8080/rules  200
    """)
    assert trace.outcome == "inconclusive"
    assert "orphan_spans" in trace.kinds


@pytest.mark.parametrize(
    ("engine", "tag"),
    [
        ("docs: > POST http://opa:8181/v1/data/docs/allow  200  @engine", "engine"),
        ("docs: > POST http://cerbos:3592/api/check/resources  200  @engine", "engine"),
        ("docs: > authzed.api.v1.PermissionsService/CheckPermission  0  @engine", "engine"),
    ],
    ids=["OPA", "Cerbos", "SpiceDB"],
)
def test_an_engines_unrecorded_answer_followed_at_once_by_a_refusal_is_its_denial(engine, tag):
    trace = judged(f"""
        docs: GET /docs/7  403
          {engine}
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.confidence) == ("denied", tag, "policy_engine", "medium")


def test_and_is_not_where_another_check_came_after():
    trace = judged("""
        docs: GET /docs/7  403
          docs: > POST http://opa:8181/v1/data/docs/allow  200
          docs: auth.permission_check  auth=refused because="not the owner"  @check
    """)
    assert (trace.origin, trace.layer) == ("check", "application")


def test_an_introspection_followed_by_401_found_the_token_dead():
    trace = judged("""
        gateway: GET /x  401  @gateway
          gateway: > POST http://identity/oauth2/introspect  200
            identity: POST /oauth2/introspect  200  @identity
    """)
    assert (trace.origin, trace.layer, trace.phase) == ("identity", "identity_provider", "authn")
    assert trace.enforced_by.span_id == trace.tags["gateway"]


def test_an_engine_that_was_asked_and_let_pass_is_evidence_of_an_allow():
    trace = judged("""
        docs: GET /docs/7  200
          docs: > POST http://opa:8181/v1/data/docs/allow  200
          docs: SELECT docs
    """)
    assert (trace.outcome, trace.confidence) == ("allowed", "medium")
    assert ("policy_engine", "allow") in trace.met


@pytest.mark.parametrize(
    ("status", "name", "layer"),
    [(403, "PermissionGuard", "application"), (401, "jwt authentication", "application"), (429, "RateLimiter", "rate_limiter")],
)
def test_a_named_guard_that_came_last_is_the_deciding_span(status, name, layer):
    trace = judged(f"""
        docs: GET /docs/7  {status}
          docs: load tenant
          docs: {name}  @guard
    """)
    assert (trace.origin, trace.layer, trace.confidence) == ("guard", layer, "medium")


def test_a_guard_that_was_passed_is_not():
    trace = judged("""
        docs: GET /docs/7  403  @docs
          docs: PermissionGuard
          docs: load document
    """)
    assert trace.origin == "docs"


def test_a_peer_without_spans_that_answered_403_refused():
    trace = judged("""
        orders: POST /labels  403
          orders: > POST https://api.carrier.example/v2/labels  403  @call
    """)
    assert (trace.outcome, trace.origin, trace.service, trace.layer) == ("denied", "call", "orders", "external_service")
    assert trace.confidence == "medium"
    assert [entry.target for entry in trace.layers] == ["api.carrier.example"]
    assert "uninstrumented_peer" in trace.kinds


def test_its_confidence_is_high_where_the_answer_is_that_of_a_check():
    trace = judged("""
        gateway: GET /x  401
          gateway: > GET https://login.vendor.example/oidc/userinfo  401  @call
    """)
    assert (trace.origin, trace.layer, trace.confidence) == ("call", "identity_provider", "high")


def test_a_refusal_that_the_callee_did_not_give_came_from_between():
    trace = judged("""
        orders: GET /x  403
          orders: > GET http://stock:8080/s  403
            stock: GET /s  200
    """)
    assert trace.outcome == "inconclusive"
    assert any("between" in sentence for sentence in trace.because)


def test_a_service_that_reads_its_settings_asked_nobody():
    trace = judged("""
        library: GET /archive  403  @library
          library: > GET http://config-server:8888/library/default  200
    """)
    assert (trace.outcome, trace.origin, trace.confidence) == ("denied", "library", "medium")


def test_an_orphan_that_was_refused_as_the_call_around_it_explains_the_refusal():
    trace = judged("""
        edge: POST /orders/1/refund  403 0-100ms
          edge: > POST http://10.0.0.7/orders/1/refund  403 10-90ms
        billing: POST /refunds  403 parent=lost 40-60ms
          billing: auth.permission_check  auth=refused because="not an accountant" @check 45-50ms
    """)
    assert (trace.outcome, trace.origin, trace.confidence) == ("denied", "check", "medium")
    assert "orphan_spans" in trace.kinds


def test_who_it_was_is_one_question_and_whether_they_may_another():
    drawing = """
        desk: GET /staff  {status}
          desk: > POST http://idp/oauth2/introspect  200
            idp: POST /oauth2/introspect  200  {event} @idp
    """
    asked = judged(drawing.format(status=401, event=""))
    assert (asked.outcome, asked.origin) == ("denied", "idp")
    assert judged(drawing.format(status=403, event="")).outcome == "inconclusive"
    known = judged(drawing.format(status=403, event="event=INTROSPECT_TOKEN:kc.realmName=shop"))
    assert (known.outcome, known.layer, known.service) == ("denied", "application", "desk")


def test_what_is_left_of_a_service_known_by_a_bare_address_hangs_below_the_one_call_around_it():
    trace = judged("""
        gateway: GET /api/orders  500 error 0-50ms
          gateway: auth.token_validate  auth=passed 1-2ms
          gateway: > GET http://10.0.0.7/orders  500 5-45ms
        orders: connect  kind=client db.system=postgresql db.namespace=shop error="connection refused" parent=lost 9-12ms @s
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.confidence) == ("error", "s", "database", "medium")
