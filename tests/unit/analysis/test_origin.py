"""Which span decided: the refusal is followed from the entry down to the hop, check or store that took it."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged


def test_a_relay_is_not_the_origin():
    trace = judged("""
        edge-gateway: GET /api/orders/7  403
          edge-gateway: > GET http://orders:8080/orders/7  403
            orders: GET /orders/7  403  @orders
              orders: auth.permission_check  auth=refused because="missing role orders:read"  @check
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("denied", "check", "application")
    assert trace.enforced_by.span_id == trace.tags["orders"]
    assert [hop.service for hop in trace.path if hop.relay] == ["edge-gateway"]
    assert "relayed_by" in trace.kinds


def test_an_engine_decides_and_the_asker_enforces():
    trace = judged("""
        edge-gateway: POST /api/orders  403
          edge-gateway: > POST http://orders:8080/orders  403
            orders: POST /orders  403  @orders
              orders: > POST http://policy:8181/v1/decide  200
                policy: POST /v1/decide  200 authz.decision=deny authz.reason="not a member of tenant 42"  @pdp
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.service) == ("denied", "pdp", "policy_engine", "policy")
    assert trace.enforced_by.span_id == trace.tags["orders"]
    # A hop that asked for the decision enforces it; it does not relay.
    assert [f.service for f in trace.findings if f.kind == "relayed_by"] == ["edge-gateway"]


def test_an_engine_that_answers_403_decides_for_the_one_who_asked():
    trace = judged("""
        docs: GET /docs/7  403  @docs
          docs: > GET http://keto:4466/relation-tuples/check  403
            keto: GET /relation-tuples/check  403  @keto
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.span_id) == ("keto", "policy_engine", trace.tags["docs"])


def test_a_result_on_the_askers_span_is_the_deciders_where_it_has_spans():
    trace = judged("""
        edge: ingress  kind=server scope=envoy component=proxy http.status_code=403 response_flags=UAEX  @edge
          edge: async envoy.service.auth.v3.Authorization.Check egress  kind=client scope=envoy ext_authz_status=ext_authz_unauthorized
            opa: = envoy.service.auth.v3.Authorization/Check  0  @opa
    """)
    assert (trace.origin, trace.service, trace.layer) == ("opa", "opa", "policy_engine")
    assert (trace.enforced_by.span_id, trace.confidence) == (trace.tags["edge"], "high")


def test_and_stays_on_the_askers_span_where_it_has_none():
    trace = judged("""
        edge: ingress  kind=server scope=envoy component=proxy http.status_code=403 response_flags=UAEX
          edge: async envoy.service.auth.v3.Authorization.Check egress  kind=client scope=envoy ext_authz_status=ext_authz_unauthorized upstream_cluster.name=authz  @check
    """)
    assert (trace.origin, trace.service, trace.layer) == ("check", "edge", "policy_engine")
    assert [entry.target for entry in trace.layers if entry.span_id == trace.tags["check"]] == ["authz"]


def test_a_check_that_wraps_its_cause_is_not_the_origin():
    trace = judged("""
        orders: GET /orders/7  403
          orders: auth.permission_check  auth=refused
            orders: > POST http://policy/v1/decide  200
              policy: POST /v1/decide  200 policy.decision=deny policy.reason="region is closed"  @pdp
    """)
    assert (trace.origin, trace.reason) == ("pdp", "region is closed")


def test_a_denied_sibling_whose_caller_went_on_is_not_the_origin():
    trace = judged("""
        bff: GET /dashboard  403
          bff: > GET http://recs:8080/recs  403
            recs: GET /recs  403
              recs: auth.permission_check  auth=refused because="missing scope recs:read"
          bff: > GET http://orders:8080/orders  200
            orders: GET /orders  200
          bff: auth.permission_check  auth=refused because="missing role dashboard"  @check
    """)
    assert trace.origin == "check"


@pytest.mark.parametrize("entry", [403, 500])
def test_the_refused_branch_is_the_cause_where_the_whole_was_refused(entry):
    trace = judged(f"""
        bff: GET /dashboard  {entry}
          bff: > GET http://orders:8080/orders  200 beside
            orders: GET /orders  200
          bff: > GET http://billing:8080/invoices  403 beside
            billing: GET /invoices  403
              billing: auth.permission_check  auth=refused because="missing scope invoices"  @check
    """)
    assert (trace.outcome, trace.origin) == ("denied", "check")
    assert ("status_rewritten" in trace.kinds) is (entry == 500)


def test_of_attempts_at_one_thing_the_last_counts():
    trace = judged("""
        orders: POST /orders  403
          orders: > POST http://stock:8080/reserve  403
            stock: POST /reserve  403
              stock: auth.permission_check  auth=refused because="warehouse is closed"
          orders: > POST http://stock:8080/reserve  403
            stock: POST /reserve  403
              stock: auth.permission_check  auth=refused because="warehouse is closed"  @last
    """)
    assert trace.origin == "last"


def test_of_equal_denials_in_one_batch_the_first_counts():
    trace = judged("""
        orders: POST /orders/archive  403
          orders: archive one
            orders: auth.permission_check  auth=refused because="under dispute"  @first
          orders: archive one
            orders: auth.permission_check  auth=refused because="under dispute"
    """)
    assert trace.origin == "first"


def test_a_frameworks_error_dispatch_does_not_count():
    trace = judged("""
        app: DELETE /accounts/7  403
          app: authorize request  spring.security.authorization.decision=false spring.security.authorization.decision.details="hasRole('ADMIN')"  @first
          app: authorize request  spring.security.authorization.decision=false uri=/error
    """)
    assert (trace.origin, trace.reason_code) == ("first", "role_missing")


def test_a_stack_trace_after_a_denial_is_a_consequence():
    trace = judged("""
        orders: GET /orders/7  500
          orders: auth.permission_check  auth=refused because="missing role orders:read"  @check
          orders: render problem  error="template is missing" raises=TemplateError:missing
    """)
    assert (trace.outcome, trace.origin) == ("denied", "check")


def test_what_came_after_the_answer_did_not_cause_it():
    trace = judged("""
        orders: POST /refunds  403
          orders: auth.permission_check  auth=refused because="exceeds the limit"  @check
          orders: send refunds
            worker: receive refunds  error later=500
              worker: INSERT ledger  error="permission denied for table ledger"
    """)
    assert trace.origin == "check"


def test_a_statement_seen_by_two_instrumentations_is_one_refusal_with_the_better_proof():
    trace = judged("""
        orders: GET /x  500
          orders: SELECT t  scope=sqlalchemy error="permission denied for table t"
          orders: SELECT t  scope=psycopg error raises="psycopg.errors.InsufficientPrivilege:permission denied for table t"  @code
    """)
    assert (trace.origin, trace.confidence) == ("code", "high")


def test_an_sdk_says_more_than_the_call_that_carries_it():
    trace = judged("""
        reports: GET /reports/7  403
          reports: S3.GetObject  kind=client rpc.system=aws-api rpc.service=S3 http.status_code=403 error="An error occurred (AccessDenied) when calling GetObject"  @sdk
            reports: > GET https://bucket.s3.amazonaws.com/x  403
    """)
    assert (trace.origin, trace.layer, trace.confidence) == ("sdk", "external_service", "high")


def test_two_server_spans_under_one_call_are_judged_by_the_last():
    trace = judged("""
        orders: GET /x  403
          orders: > GET http://stock:8080/s  403
            stock: GET /s  503
            stock: GET /s  403
              stock: auth.permission_check  auth=refused because="no role"  @check
    """)
    assert trace.origin == "check"


def test_a_request_repeated_under_one_trace_id_is_judged_by_its_last_attempt():
    trace = judged("""
        edge-gateway: GET /api/x  401
          edge-gateway: auth.token_validate  auth=refused because="token is expired"
        edge-gateway: GET /api/x  200 40-60ms
          edge-gateway: auth.token_validate  auth=passed
    """)
    assert trace.outcome == "allowed"
    assert {"retried", "multiple_roots"} <= trace.kinds


def test_a_trace_that_begins_with_a_message_has_no_client():
    trace = judged("""
        worker: receive refunds
          worker: auth.permission_check  auth=refused because="exceeds the limit" auth.subject=mallory  @check
    """)
    assert (trace.outcome, trace.origin, trace.entry.status, trace.principal) == ("denied", "check", None, "mallory")


def test_a_client_root_without_a_server_is_its_own_entry():
    trace = judged("job: > GET https://api.partner.example/v1  403  @call")
    assert (trace.outcome, trace.origin, trace.layer) == ("denied", "call", "external_service")


def test_spans_without_a_kind_are_judged_by_what_they_carry():
    trace = judged("""
        gateway: handle  kind=unspecified http.status_code=403
          orders: handle  kind=unspecified http.status_code=403  @orders
    """)
    assert (trace.outcome, trace.origin) == ("denied", "orders")


def test_of_two_different_checks_in_a_row_the_later_one_counts():
    trace = judged("""
        berths: POST /pilots  403
          berths: auth.permission_check  auth=refused because="not a harbour master" auth.resource=role
          berths: auth.permission_check  auth=refused because="no mandate for today" auth.resource=mandate  @last
    """)
    assert trace.origin == "last"


def test_of_equal_ones_in_a_batch_the_first():
    trace = judged("""
        berths: POST /pilots  403
          berths: auth.permission_check  auth=refused because="berth 7 is not yours" auth.resource=berths/7  @first
          berths: auth.permission_check  auth=refused because="berth 8 is not yours" auth.resource=berths/8
    """)
    assert trace.origin == "first"


def test_a_linked_consumer_whose_clock_is_behind_is_not_the_entry():
    trace = judged("""
        office: receive notices  skew=-30000 link=sent
          office: auth.permission_check  skew=-30000 auth=refused because="has moved"  @check
        gateway: POST /notices  202
          gateway: auth.token_validate  auth=passed
          gateway: send notices  @sent
    """)
    assert (trace.outcome, trace.origin, trace.entry.status) == ("partially_denied", "check", 202)
    assert not trace.kinds & {"side_effect_after_denial", "broken_propagation"}


def test_of_nested_spans_of_one_store_the_inner_one_refused():
    trace = judged("""
        orders: GET /orders  500 error
          orders: pool.acquire  kind=client db.system=postgresql pgx.sql_state=28P01 error="password authentication failed"
            orders: connect  kind=client db.system=postgresql pgx.sql_state=28P01 error="password authentication failed"  @login
    """)
    assert (trace.origin, trace.layer) == ("login", "database")


def test_a_drivers_exception_on_the_request_is_only_an_echo_of_the_call():
    error = 'error="InsufficientPrivilegeError" raises="asyncpg.exceptions.InsufficientPrivilegeError:permission denied for table ledger"'
    trace = judged(f"""
        orders: GET /ledger  500 {error}
          orders: SELECT ledger  {error}  @query
    """)
    assert (trace.origin, trace.layer) == ("query", "database")
    assert "status_rewritten" in trace.kinds


def bulk(status: int, *middle: str):
    lines = "\n".join(f"          orders: {line}" for line in middle)
    return judged(f"""
        orders: POST /holds/bulk  {status}
{lines}
    """)


GOOD, BAD = "> POST http://stock/holds  201", "> POST http://stock/holds  403  @refused"


@pytest.mark.parametrize(("status", "calls"), [(200, (GOOD, BAD, GOOD)), (207, (BAD, GOOD))])
def test_a_change_refused_among_changes_of_its_kind_is_one_item_of_many(status, calls):
    trace = bulk(status, *calls)
    assert (trace.outcome, trace.origin) == ("partially_denied", "refused")


@pytest.mark.parametrize(
    "calls",
    [(BAD, GOOD), (GOOD, BAD, "> POST http://identity/oauth2/token  200", GOOD)],
    ids=["tried again", "with a new token"],
)
def test_one_made_good_afterwards_was_tried_again(calls):
    trace = bulk(200, *calls)
    assert trace.outcome == "allowed"
    assert "retried" in trace.kinds
