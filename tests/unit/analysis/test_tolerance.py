"""What became of a refusal that did not stop the request."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged


def test_a_write_after_a_refusal_is_a_bypass():
    trace = judged("""
        orders: PUT /orders/7  200
          orders: auth.permission_check  auth=refused because="missing role orders:write"  @check
          orders: UPDATE orders
    """)
    assert (trace.outcome, trace.origin) == ("bypassed", "check")
    assert {"fail_open", "side_effect_after_denial"} <= trace.kinds
    assert ("db_write", "after_denial") in trace.effects


def test_a_gateway_that_forwards_what_it_refused_is_a_bypass():
    trace = judged("""
        edge-gateway: GET /api/orders  200
          edge-gateway: auth.token_validate  auth=refused because="token is expired"  @check
          edge-gateway: > GET http://orders:8080/orders  200
            orders: GET /orders  200
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("bypassed", "check", "api_gateway")


def test_a_read_guarded_by_the_refusal_is_a_bypass_too():
    trace = judged("""
        docs: GET /docs/7  200
          docs: auth.permission_check  auth=refused because="not the owner"
          docs: SELECT docs
    """)
    assert trace.outcome == "bypassed"


def test_a_write_guarded_by_a_later_check_is_none():
    trace = judged("""
        orders: PUT /orders/7  200
          orders: is owner  authz.decision=deny
          orders: is admin  authz.decision=allow
          orders: UPDATE orders
    """)
    assert (trace.outcome, trace.kinds & {"fail_open"}) == ("allowed", set())


def test_a_fan_out_with_one_refusal_is_partly_denied():
    trace = judged("""
        bff: GET /dashboard  200
          bff: > GET http://orders:8080/orders  200 beside
            orders: GET /orders  200
          bff: > GET http://billing:8080/invoices  403 beside
            billing: GET /invoices  403
              billing: auth.permission_check  auth=refused because="missing scope invoices:read"  @check
    """)
    assert (trace.outcome, trace.origin, trace.kinds & {"fail_open"}) == ("partially_denied", "check", set())


def test_bulk_with_some_items_refused_is_partly_denied_and_no_bypass():
    trace = judged("""
        orders: POST /orders/archive  207
          orders: archive one
            orders: auth.permission_check  auth=passed
            orders: UPDATE orders
          orders: archive one
            orders: auth.permission_check  auth=refused because="under dispute"  @check
          orders: archive one
            orders: auth.permission_check  auth=passed
            orders: UPDATE orders
    """)
    assert (trace.outcome, trace.origin) == ("partially_denied", "check")
    assert not trace.kinds & {"fail_open", "side_effect_after_denial", "side_effect_before_denial"}


def test_flat_bulk_is_the_same():
    trace = judged("""
        orders: POST /orders/archive  207
          orders: auth.permission_check  auth=passed auth.resource=order:1
          orders: UPDATE orders
          orders: auth.permission_check  auth=refused auth.resource=order:2 because="under dispute"  @check
          orders: auth.permission_check  auth=passed auth.resource=order:3
          orders: UPDATE orders
    """)
    assert (trace.outcome, trace.origin, trace.kinds & {"fail_open"}) == ("partially_denied", "check", set())


def test_bulk_with_every_item_refused_is_denied():
    trace = judged("""
        orders: POST /orders/archive  207
          orders: auth.permission_check  auth=refused auth.resource=order:1 because="under dispute"  @first
          orders: auth.permission_check  auth=refused auth.resource=order:2 because="under dispute"
    """)
    assert (trace.outcome, trace.origin) == ("denied", "first")


def test_asking_what_is_permitted_is_allowed_whatever_the_answers():
    trace = judged("""
        orders: GET /me/permissions  200
          orders: auth.permission_check  auth=passed auth.resource=read
          orders: auth.permission_check  auth=refused auth.resource=refund
    """)
    assert (trace.outcome, trace.layer) == ("allowed", None)


def test_filtering_a_list_is_asking():
    trace = judged("""
        docs: GET /docs  200
          docs: SELECT docs
          docs: > POST http://policy/v1/decide  200
            policy: POST /v1/decide  200 authz.decision=deny
          docs: > POST http://policy/v1/decide  200
            policy: POST /v1/decide  200 authz.decision=allow
    """)
    assert trace.outcome == "allowed"


def test_a_200_that_carries_the_refusal_is_denied_and_masked():
    trace = judged("""
        orders: POST /rpc  200
          orders: SELECT orders
          orders: auth.permission_check  auth=refused because="missing role orders:write"  @check
    """)
    assert (trace.outcome, trace.origin, trace.entry.status) == ("denied", "check", 200)
    assert "masked_denial" in trace.kinds


def test_a_refused_call_with_nothing_else_delivered_is_a_refusal_in_the_body():
    trace = judged("""
        bff: GET /orders  200
          bff: > GET http://orders:8080/orders  403
            orders: GET /orders  403
              orders: auth.permission_check  auth=refused because="missing role"  @check
    """)
    assert (trace.outcome, trace.origin) == ("denied", "check")


@pytest.mark.parametrize(("status", "outcome"), [(404, "denied"), (302, "denied")])
def test_a_404_or_a_redirect_after_a_refusal_is_masked(status, outcome):
    trace = judged(f"""
        docs: GET /docs/7  {status}
          docs: SELECT docs
          docs: auth.permission_check  auth=refused because="not the owner"  @check
    """)
    assert (trace.outcome, trace.origin) == (outcome, "check")
    assert "masked_denial" in trace.kinds


def test_a_404_of_the_business_after_a_tolerated_refusal_is_none():
    trace = judged("""
        docs: GET /docs/7  404
          docs: auth.token_validate  auth=passed
          docs: > GET http://recs:8080/r  403
            recs: GET /r  403
          docs: > GET http://store:8080/docs/7  404
            store: GET /docs/7  404
    """)
    assert trace.outcome in ("allowed", "partially_denied")
    assert "masked_denial" not in trace.kinds


def test_a_retried_refusal_is_allowed():
    trace = judged("""
        bff: GET /orders  200
          bff: > GET http://orders:8080/orders  401
            orders: GET /orders  401
              orders: auth.token_validate  auth=refused because="token is expired"
          bff: > POST http://identity:8080/oauth2/token  200
            identity: POST /oauth2/token  200
          bff: > GET http://orders:8080/orders  200
            orders: GET /orders  200
              orders: auth.token_validate  auth=passed
    """)
    assert (trace.outcome, trace.layer, trace.span_id) == ("allowed", None, None)
    assert "retried" in trace.kinds


def test_of_a_chain_of_authenticators_the_last_counts():
    trace = judged("""
        gateway: GET /x  200
          gateway: pipeline.authn.AuthenticatorCookieSession.Authenticate  error="no cookie"
          gateway: pipeline.authn.AuthenticatorJWT.Authenticate
    """)
    assert (trace.outcome, trace.kinds & {"fail_open"}) == ("allowed", set())


def test_work_that_a_consumer_refused_later_is_partly_denied_and_names_the_consumer():
    trace = judged("""
        orders: POST /refunds  202
          orders: auth.permission_check  auth=passed
          orders: send refunds
            worker: receive refunds  error later=900
              worker: auth.permission_check  auth=refused because="exceeds the limit"  @check
    """)
    assert (trace.outcome, trace.service, trace.origin) == ("partially_denied", "worker", "check")


def test_a_consumer_in_a_tree_of_its_own_is_found_by_its_link():
    trace = judged("""
        orders: POST /refunds  202
          orders: send refunds  @sent
        worker: receive refunds  900-950ms link=sent
          worker: auth.permission_check  auth=refused because="exceeds the limit"  @check
    """)
    assert (trace.outcome, trace.origin) == ("partially_denied", "check")


def test_a_consumer_that_acts_on_what_it_refused_is_a_bypass():
    trace = judged("""
        worker: receive refunds
          worker: auth.permission_check  auth=refused because="exceeds the limit"
          worker: INSERT ledger
    """)
    assert trace.outcome == "bypassed"


def test_a_dead_letter_is_a_record_of_the_refusal():
    trace = judged("""
        worker: receive refunds
          worker: auth.permission_check  auth=refused because="exceeds the limit"
          worker: send refunds.dlq
    """)
    assert (trace.outcome, trace.effects) == ("denied", {("audit", "after_denial")})


def test_a_field_refused_beside_others_is_partly_denied():
    graphql = "scope=@opentelemetry/instrumentation-graphql"
    trace = judged(f"""
        graph: POST /graphql  200
          graph: query  {graphql} graphql.operation.type=query
            graph: graphql.resolve me  {graphql}
            graph: graphql.resolve payroll  {graphql} error=Forbidden  @field
    """)
    assert (trace.outcome, trace.origin) == ("partially_denied", "field")


def test_an_operation_refused_as_a_whole_is_denied_and_masked():
    graphql = "scope=@opentelemetry/instrumentation-graphql"
    trace = judged(f"""
        graph: POST /graphql  200
          graph: query  {graphql} graphql.operation.type=query
            graph: graphql.resolve payroll  {graphql} error=Forbidden  @field
    """)
    assert (trace.outcome, trace.origin) == ("denied", "field")
    assert "masked_denial" in trace.kinds


def test_a_dry_run_never_counts():
    trace = judged("""
        side: ingress  kind=server scope=envoy component=proxy http.status_code=200 istio.authorization.dry_run.deny_policy.result=denied
          reviews: GET /reviews  200
            reviews: auth.token_validate  auth=passed
    """)
    assert trace.outcome == "allowed"
    assert any("dry run" in sentence for sentence in trace.because)


def test_an_answer_of_the_business_is_allowed_after_its_checks_and_no_evidence_without():
    checked = "orders: POST /pay  402\n  orders: auth.token_validate  auth=passed"
    assert judged(checked).outcome == "allowed"
    assert judged("orders: POST /pay  402").outcome == "no_auth_evidence"


def test_a_login_that_leads_on_to_the_identity_provider_is_no_refusal():
    trace = judged("shop: GET /login  302 http.response.header.location=https://idp.example/oauth2/authorize?x=y")
    assert trace.outcome == "no_auth_evidence"


def test_a_redirect_to_the_login_page_is():
    trace = judged("shop: GET /account  302 http.response.header.location=/login?next=/account  @here")
    assert (trace.outcome, trace.origin, trace.phase, trace.confidence) == ("denied", "here", "authn", "medium")


def test_one_statement_refused_and_repeated_with_success_was_tried_again():
    insert = 'stock: INSERT holds  db.query.text="INSERT INTO holds VALUES (?)"'
    trace = judged(f"""
        stock: POST /holds  201
          {insert} db.response.status_code=42501 error="permission denied for table holds"
          {insert}
    """)
    assert trace.outcome == "allowed"
    assert "retried" in trace.kinds


def test_a_token_renewed_after_a_refusal_passed_although_the_engines_answer_is_unrecorded():
    def ask(status):
        return f"""
          nightly: > GET http://portal/reports  {status}
            portal: GET /reports  {status}
              portal: > POST http://identity/token/introspection  200"""

    trace = judged(f"""
        nightly: GET /run  200
          {ask(401)}
          nightly: > POST http://identity/token  200
          {ask(200)}
    """)
    assert trace.outcome == "allowed"
    assert "retried" in trace.kinds


def test_an_engine_asked_about_each_row_of_a_search_refused_nobody():
    def ask(allowed):
        return f"""
          orders: > POST http://fga/stores/01M81M18X043AZRTPH5TWRQNVV/check  200
            openfga: POST /stores/01M81M18X043AZRTPH5TWRQNVV/check  200
              openfga: Check  scope=openfga/pkg/server allowed={allowed}"""

    trace = judged(f"""
        orders: POST /searches  200
          {ask("true")}
          {ask("false")}
          {ask("false")}
    """)
    assert trace.outcome == "allowed"
    assert "masked_denial" not in trace.kinds


@pytest.mark.parametrize(
    ("text", "outcome"), [("Refunds above 100 need a manager", "partially_denied"), ("[Errno 13] no", "no_auth_evidence")]
)
def test_a_worker_that_raises_pythons_permission_error_refused_unless_it_was_a_file(text, outcome):
    trace = judged(f"""
        refunds: POST /refunds  202
          refunds: send refunds
            worker: receive refunds  error raises="PermissionError:{text}"
    """)
    assert trace.outcome == outcome


@pytest.mark.parametrize(
    "answer",
    ["200 0-4ms", "202 0-90ms", "200 0-90ms asgi"],
    ids=["its span had ended", "it was accepted", "the head of the answer was sent"],
)
def test_work_refused_after_the_answer_was_a_part_of_the_request(answer):
    sent = "hub: POST /holds http send  200 3-3.5ms scope=opentelemetry.instrumentation.asgi" if "asgi" in answer else ""
    trace = judged(f"""
        hub: POST /holds  {answer.removesuffix(" asgi")}
          {sent}
          hub: > POST http://stock/holds  403 20-60ms
            stock: POST /holds  403 30-50ms @stock
    """)
    assert (trace.outcome, trace.origin) == ("partially_denied", "stock")
    assert "masked_denial" not in trace.kinds
