"""Conventions that people write by hand, in the places where they write them."""

import pytest
from support.draw import judged


def test_an_answer_noted_on_the_call_is_the_callees():
    trace = judged("""
        orders: GET /x  403  @orders
          orders: > POST http://pdp:8080/decide  200 authz.decision=deny authz.reason="after hours"
            pdp: POST /decide  200  @pdp
    """)
    assert (trace.origin, trace.layer, trace.reason, trace.confidence) == ("pdp", "policy_engine", "after hours", "high")
    assert trace.enforced_by.span_id == trace.tags["orders"]


def test_and_stays_on_the_call_where_the_callee_sends_no_spans():
    trace = judged("""
        orders: GET /x  403
          orders: > POST http://pdp:8080/decide  200 authz.decision=deny  @call
    """)
    assert (trace.origin, trace.service, trace.layer) == ("call", "orders", "policy_engine")


def test_an_engine_that_could_not_decide_is_an_error_for_the_one_who_asked():
    trace = judged("""
        orders: GET /x  403
          orders: > POST http://policy:8080/v1/decide  200
            policy: POST /v1/decide  200 authz.decision=error  @pdp
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "pdp", "policy_engine")
    assert "fail_closed" in trace.kinds


def test_and_fails_open_where_that_one_went_on():
    trace = judged("""
        orders: PUT /x  200
          orders: > POST http://policy:8080/v1/decide  200
            policy: POST /v1/decide  200
              policy: evaluate  authz.decision=timeout
          orders: UPDATE orders
    """)
    assert (trace.outcome, "fail_open" in trace.kinds) == ("allowed", True)


@pytest.mark.parametrize(
    ("said", "layer", "phase"),
    [
        ("authz.allow=false", "application", "authz"),
        ("rbac.result=DENIED", "application", "authz"),
        ("session.valid=false", "application", "authn"),
        ("jwt.verified=false", "application", "authn"),
        ("authn.result=failed", "application", "authn"),
        ("ratelimit.allowed=false", "rate_limiter", "authz"),
        ("event=access_denied:reason=confidential", "application", "authz"),
        ("event=login.failed:reason=wrong-password", "application", "authn"),
        ('error raises="shop.ForbiddenError:not for you"', "application", "authz"),
        ('error raises="jwt.exceptions.ExpiredSignatureError:Signature has expired"', "application", "authn"),
    ],
)
def test_a_decision_under_any_of_its_names(said, layer, phase):
    trace = judged(f"""
        docs: GET /docs/7  403
          docs: step one
          docs: look  {said}  @check
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.phase) == ("denied", "check", layer, phase)


def test_a_decision_on_the_requests_own_span():
    trace = judged("docs: GET /docs/7  403 authz.decision=deny authz.reason=confidential  @docs")
    assert (trace.origin, trace.reason, trace.confidence) == ("docs", "confidential", "high")


def test_a_decision_on_the_requests_own_span_that_was_not_heeded():
    trace = judged("""
        docs: DELETE /docs/7  204 authz.decision=deny authz.reason=confidential  @docs
          docs: DELETE docs
    """)
    assert (trace.outcome, trace.origin) == ("bypassed", "docs")


def test_a_firewall_rule_or_an_address_list_is_the_edge():
    assert judged("edge-proxy: GET /search  403 waf.rule.id=942100").layer == "edge_waf"
    assert judged("edge-proxy: GET /admin  403 ip.denylist=office").layer == "edge_waf"
    passed_on = """
        edge-proxy: GET /search  403 waf.rule.id=942100
          shop: GET /search  403
            shop: auth.permission_check  auth=refused because="missing role"
    """
    assert judged(passed_on).layer == "application"


def test_card_payments_are_no_access_control():
    trace = judged("billing: POST /pay  402\n  billing: authorize payment  authorization.id=A1 authorization.result=declined")
    assert trace.outcome == "no_auth_evidence"


def test_claims_carried_along_inside_one_service_are_none_either():
    claim = "auth.decision=allow"
    trace = judged(f"""
        shop: GET /x  403 {claim}
          shop: load  {claim}
          shop: > POST http://crm:8080/x  200 {claim}
          shop: auth.permission_check  auth=refused because="missing role"  @check
    """)
    assert (trace.origin, trace.confidence) == ("check", "high")
