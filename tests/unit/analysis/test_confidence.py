"""How sure: explicit evidence on a whole path is high, a status alone is medium, words and conflicts are low."""

import pytest

# ruff: noqa: E501 - drawings are as wide as they are
from support.draw import judged

DENIED = 'orders: auth.permission_check  auth=refused because="missing role"  @check'


def test_an_explicit_decision_on_a_whole_path_is_high():
    trace = judged(f"""
        gateway: GET /x  403
          gateway: > GET http://orders:8080/x  403
            orders: GET /x  403
              {DENIED}
    """)
    assert trace.confidence == "high"


def test_a_lost_span_on_the_path_makes_it_medium():
    trace = judged(f"""
        gateway: GET /x  403
          gateway: > GET http://orders:8080/x  403 drop
            orders: GET /x  403
              {DENIED}
    """)
    assert (trace.origin, trace.confidence) == ("check", "medium")
    assert "orphan_spans" in trace.kinds


def test_a_lost_check_is_still_found_by_its_service_and_time():
    trace = judged(f"""
        gateway: GET /x  403
          gateway: > GET http://orders:8080/x  403
            orders: GET /x  403
              orders: handler  drop
                {DENIED}
    """)
    assert (trace.origin, trace.confidence) == ("check", "medium")


def test_a_root_without_its_callers_context_is_joined_where_it_fits():
    trace = judged(f"""
        gateway: GET /api/x  403 0-60ms
          gateway: > GET http://orders:8080/x  403 2-50ms
        orders: GET /x  403 5-40ms
          {DENIED}
    """)
    assert (trace.origin, trace.confidence) == ("check", "medium")
    assert {"multiple_roots", "broken_propagation"} <= trace.kinds


def test_and_not_where_it_does_not():
    trace = judged(f"""
        gateway: GET /api/y  403 0-60ms
          gateway: > GET http://billing:8080/y  403 2-50ms  @call
        orders: GET /x  403 5-40ms
          {DENIED}
    """)
    assert trace.origin == "call"


def test_missing_data_beside_the_path_does_not_lower():
    trace = judged(f"""
        gateway: GET /x  403
          gateway: > POST http://metrics:8080/m  200
          gateway: > GET http://orders:8080/x  403
            orders: GET /x  403
              {DENIED}
    """)
    assert (trace.confidence, "uninstrumented_peer" in trace.kinds) == ("high", True)


def test_a_partial_trace_whose_path_is_whole_stays_high():
    trace = judged(f"orders: GET /x  403\n  {DENIED}", partial=True)
    assert (trace.confidence, "truncated_trace" in trace.kinds) == ("high", True)


@pytest.mark.parametrize(
    ("proof", "confidence"),
    [
        ('db.response.status_code=42501 error="permission denied for table t"', "high"),
        ('error raises="asyncpg.exceptions.InsufficientPrivilegeError:permission denied for table t"', "high"),
        ('error="permission denied for table t"', "medium"),
    ],
    ids=["code", "class", "words"],
)
def test_a_drivers_code_or_class_is_high_and_its_words_are_medium(proof, confidence):
    assert judged(f"orders: GET /x  500\n  orders: SELECT t  {proof}").confidence == confidence


def test_evidence_that_disagrees_is_low_and_said():
    trace = judged("orders: GET /x  403 authz.decision=allow  @orders")
    assert (trace.outcome, trace.origin, trace.confidence) == ("denied", "orders", "low")
    assert any(ground.role == "conflict" for ground in trace.grounds)


def test_an_allow_on_a_whole_path_is_high_and_an_inferred_one_medium():
    assert judged("orders: GET /x  200\n  orders: auth.permission_check  auth=passed").confidence == "high"
    assert judged("orders: GET /x  200\n  orders: > POST http://opa/v1/data/x/allow  200").confidence == "medium"


def test_no_evidence_in_a_damaged_trace_is_low():
    trace = judged("""
        gateway: GET /x  200
          gateway: handler  drop
            gateway: SELECT t
    """)
    assert (trace.outcome, trace.confidence) == ("no_auth_evidence", "low")


def test_what_the_client_was_answered_must_be_known():
    trace = judged("orders: handle request  kind=server\n  orders: auth.permission_check  auth=refused because=no")
    assert (trace.outcome, trace.confidence) == ("denied", "medium")


def test_claims_of_a_browser_are_neither_evidence_nor_conflict():
    trace = judged(f"""
        web: > GET https://shop.example/x  403 resource.telemetry.sdk.language=webjs auth.result=success auth.subject=admin
          gateway: GET /x  403
            gateway: > GET http://orders:8080/x  403
              orders: GET /x  403
                {DENIED} auth.subject=mallory
    """)
    assert (trace.origin, trace.confidence, trace.principal) == ("check", "high", "mallory")


def test_nor_are_claims_that_baggage_copied_onto_every_span():
    claim = "auth.decision=allow"
    trace = judged(f"""
        gateway: GET /x  403 {claim}
          gateway: > GET http://orders:8080/x  403 {claim}
            orders: GET /x  403 {claim}
              {DENIED}
    """)
    assert (trace.origin, trace.confidence) == ("check", "high")
    assert ("application", "allow") not in trace.met


def test_two_attributes_of_one_check_that_disagree_are_low():
    trace = judged("""
        parks: PUT /parks/7  403
          parks: auth.permission_check  auth=refused because="park is closed" authz.decision=allow  @check
    """)
    assert (trace.origin, trace.confidence) == ("check", "low")
    assert any("authz.decision" in sentence for sentence in trace.because)


def test_what_the_asker_wrote_down_outranks_that_engines_leave_their_answer_out():
    trace = judged("""
        ledger: GET /statements  403
          ledger: > POST http://opa:8181/v1/data/bank/allow  200 opa.decision=deny authz.reason="too old"
            opa: POST /v1/data/bank/allow  200 @opa
    """)
    assert (trace.origin, trace.reason, trace.confidence) == ("opa", "too old", "high")


def test_a_bare_500_does_not_show_what_broke():
    trace = judged("""
        orders: GET /orders  500 error @orders
          orders: auth.permission_check  auth=passed
    """)
    assert (trace.outcome, trace.origin, trace.confidence) == ("error", "orders", "medium")


def test_a_failed_call_beside_spans_that_lost_their_parent_is_medium():
    drawing = """
        orders: GET /orders  500 error 0-50ms
          orders: auth.permission_check  auth=passed 1-2ms
          orders: > GET http://stock/stock  error="timed out" 5-40ms @call
        {rest}
    """
    assert judged(drawing.format(rest="")).confidence == "high"
    lost = judged(drawing.format(rest="orders: SELECT stock  parent=lost 10-12ms"))
    assert (lost.origin, lost.confidence) == ("call", "medium")


def test_a_guard_whose_inner_spans_lost_their_parent_is_medium():
    drawing = """
        desk: POST /share  403 0-50ms
          desk: Documents.share  error="Forbidden resource" raises="ForbiddenException:Forbidden resource" scope=@opentelemetry/instrumentation-nestjs-core nestjs.type=request_context 1-40ms @guard
        {rest}
    """
    whole, lost = judged(drawing.format(rest="")), judged(drawing.format(rest="desk: tcp.connect  parent=lost error 5-8ms"))
    assert (whole.origin, whole.confidence) == ("guard", "high")
    assert (lost.origin, lost.confidence) == ("guard", "medium")
