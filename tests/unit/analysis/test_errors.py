"""An error is not a denial: what broke is named, and whether the door then stood open or shut."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged


def test_a_timeout_behind_a_403_is_an_error_that_failed_closed():
    trace = judged("""
        orders: GET /orders/7  403
          orders: > POST http://opa:8181/v1/data/orders/allow  error raises="httpx.ReadTimeout:timed out"  @call
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.confidence) == ("error", "call", "policy_engine", "high")
    assert "fail_closed" in trace.kinds


def test_a_500_for_a_broken_check_did_not_fail_closed():
    trace = judged("""
        orders: GET /orders/7  500
          orders: > POST http://opa:8181/v1/data/orders/allow  error raises="httpx.ReadTimeout:timed out"
    """)
    assert trace.outcome == "error"
    assert "fail_closed" not in trace.kinds


def test_a_broken_check_that_let_the_request_through_failed_open():
    trace = judged("""
        orders: PUT /orders/7  200
          orders: > POST http://policy:8181/v1/decide  503
            policy: POST /v1/decide  503
          orders: UPDATE orders
    """)
    assert (trace.outcome, trace.layer, trace.span_id) == ("allowed", None, None)
    assert "fail_open" in trace.kinds
    assert ("policy_engine", "error") in {(e.layer.value, "error") for e in trace.layers} or trace.findings


def test_a_broken_check_made_good_by_another_is_neither():
    trace = judged("""
        gateway: GET /x  200
          gateway: > GET http://identity/.well-known/jwks.json  error raises="Timeout:timed out"
          gateway: auth.token_validate  auth=passed
          gateway: > GET http://orders/x  200
            orders: GET /x  200
    """)
    assert (trace.outcome, trace.kinds & {"fail_open", "fail_closed"}) == ("allowed", set())


def test_the_deepest_span_that_carries_the_failure_is_named():
    trace = judged("""
        gateway: GET /x  401
          gateway: > POST http://identity/oauth2/introspect  500
            identity: POST /oauth2/introspect  500
              identity: load client
                identity: SELECT clients  error="connection refused" raises="OperationalError:connection refused"  @db
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "db", "database")


def test_a_store_that_refused_a_check_is_a_denial_of_the_store():
    trace = judged("""
        shop: GET /x  500
          shop: auth.session_validate  error
            shop: GET session  kind=client db.system=redis error raises="ReplyError:NOAUTH Authentication required."  @cache
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.phase) == ("denied", "cache", "database", "authn")


def test_a_refusal_that_names_a_dependency_is_an_error():
    trace = judged("""
        gateway: GET /x  401
          gateway: auth.token_validate  auth=refused because="introspection endpoint timed out"
            gateway: > POST http://identity/oauth2/introspect  error raises="Timeout:deadline"  @call
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "call", "identity_provider")


def test_a_refusal_with_a_reason_of_its_own_stays_one():
    trace = judged("""
        identity: POST /login  401
          identity: auth.login  auth=refused because="wrong password"  @login
            identity: > GET http://risk:8080/score  error raises="Timeout:deadline"
    """)
    assert (trace.outcome, trace.origin, trace.reason_code) == ("denied", "login", "bad_credentials")


def test_an_application_that_broke_after_its_checks_is_an_error():
    trace = judged("""
        orders: POST /orders  500
          orders: auth.permission_check  auth=passed
          orders: price order  error raises=KeyError:currency  @price
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "price", "application")
    assert ("application", "allow") in trace.met


def test_a_tolerated_refusal_does_not_explain_a_later_failure():
    trace = judged("""
        bff: GET /dashboard  500
          bff: > GET http://recs:8080/r  403
            recs: GET /r  403
          bff: > GET http://orders:8080/o  500
            orders: GET /o  500  @orders
    """)
    assert (trace.outcome, trace.origin) == ("error", "orders")


def test_a_failure_before_the_refusal_does_not_explain_it():
    trace = judged("""
        orders: GET /basket  403
          orders: > GET http://recs:8080/r  500
            recs: GET /r  500
          orders: auth.permission_check  auth=refused because="belongs to another customer"  @check
    """)
    assert (trace.outcome, trace.origin) == ("denied", "check")


def test_a_call_that_failed_last_before_a_bare_refusal_is_guessed_to_be_the_check():
    trace = judged("""
        orders: GET /x  403
          orders: > GET http://memberships:8080/m  error raises="ConnectError:refused"  @call
    """)
    assert (trace.outcome, trace.origin, trace.confidence) == ("error", "call", "medium")


def test_a_connection_that_a_proxy_could_not_keep_is_the_meshs_at_low_confidence():
    trace = judged("""
        gateway: GET /x  503
          gateway: > GET http://reviews:9080/x  503
            gateway.shop: egress  kind=client scope=envoy component=proxy http.status_code=503 response_flags=UC  @proxy
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.confidence) == ("error", "proxy", "service_mesh", "low")


def test_a_refusal_of_the_limiter_store_passes_with_a_finding():
    trace = judged("""
        edge: ingress  kind=server scope=envoy component=proxy http.status_code=200 response_flags=RLSE
          orders: GET /orders  200
            orders: auth.token_validate  auth=passed
    """)
    assert (trace.outcome, "fail_open" in trace.kinds) == ("allowed", True)


def test_a_caller_that_went_away_took_no_decision():
    trace = judged("""
        gateway: GET /x  499
          gateway: > GET http://orders/x  error="context canceled"
    """)
    assert (trace.outcome, trace.kinds & {"fail_closed"}) == ("error", set())


@pytest.mark.parametrize(
    ("call", "layer", "target"),
    [("connect  kind=client db.system=postgresql db.namespace=shop", "database", "shop"),
     ("> GET http://issuer/.well-known/jwks.json ", "identity_provider", "issuer")],
)  # fmt: skip
def test_a_socket_that_failed_belongs_to_the_call_around_it(call, layer, target):
    trace = judged(f"""
        orders: GET /orders  500 error
          orders: {call} error="connect ECONNREFUSED"
            orders: tcp.connect  error="connect ECONNREFUSED"  @socket
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "socket", layer)
    assert [e.target for e in trace.layers if e.decision == "error"] == [target]


def test_an_inner_failure_beside_the_call_that_failed_is_its_consequence():
    trace = judged("""
        cart: GET /cart  500 error 0-50ms
          cart: middleware - connect  error="connect ECONNREFUSED" 1-40ms
          cart: redis-connect  kind=client db.system=redis error="connect ECONNREFUSED" 5-39ms @call
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "call", "database")


def test_a_data_source_seen_by_micrometer_is_a_database():
    trace = judged("""
        accounts: GET /profile  500 error
          accounts: connection  kind=client jdbc.datasource.driver=org.postgresql.Driver jdbc.datasource.name=shop error="timed out"  @call
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "call", "database")


def test_filters_that_an_exception_passes_through_only_repeat_it():
    words = 'error="Request processing failed" raises="ServletException:Request processing failed"'
    trace = judged(f"""
        orders: POST /payment  500 error
          orders: secured request  {words}
            orders: > POST http://billing/charges  error="I/O error on POST request: null"  @call
          orders: security filterchain after  {words}
    """)
    assert (trace.outcome, trace.origin) == ("error", "call")
    assert "uninstrumented_peer" not in trace.kinds  # the connection itself failed


@pytest.mark.parametrize(
    ("words", "layer"),
    [("decode the Jwt: I/O error on GET request for http://issuer/keys", "identity_provider"),
     ("Failed to obtain JDBC Connection", "database"), ("it went wrong", "application")],
)  # fmt: skip
def test_what_an_authentication_could_not_reach_is_in_its_words(words, layer):
    trace = judged(f"""
        orders: GET /orders  500 error
          orders: authenticate bearertoken  error="{words}" authentication.failure.type=AuthenticationServiceException authentication.request.type=Bearer
    """)
    assert (trace.outcome, trace.layer) == ("error", layer)


def test_an_engine_that_calls_the_question_malformed_did_not_refuse():
    trace = judged("""
        orders: GET /reports  403
          orders: > POST http://fga/stores/01M81M18X043AZRTPH5TWRQNVV/check  400
            openfga: POST /stores/01M81M18X043AZRTPH5TWRQNVV/check  400
              openfga: Check  scope=openfga/pkg/server error="relation not found"  @check
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "check", "policy_engine")
    assert "fail_closed" in trace.kinds
    assert "fail_open" not in trace.kinds


def test_a_code_of_a_houses_own_is_read_by_its_words():
    trace = judged("""
        orders: GET /orders  403
          orders: > POST http://fga/stores/01M81M18X043AZRTPH5TWRQNVV/check  401
            openfga: POST /stores/01M81M18X043AZRTPH5TWRQNVV/check  401
              openfga: > openfga.v1.OpenFGAService/Check  error="missing bearer token" rpc.response.status_code=CODE(1010)
                openfga: = openfga.v1.OpenFGAService/Check  rpc.response.status_code=CODE(1010) @server
    """)
    assert (trace.outcome, trace.origin, trace.layer, trace.phase) == ("denied", "server", "policy_engine", "authn")
    assert (trace.reason, trace.enforced_by.service) == ("missing bearer token", "orders")


def test_an_exception_that_names_the_lost_store_is_proof_without_the_drivers_span():
    raises = 'raises="org.springframework.transaction.CannotCreateTransactionException:Could not open JDBC Connection"'
    trace = judged(f"orders: GET /orders  500 error {raises}  @orders")
    assert (trace.outcome, trace.origin, trace.layer) == ("error", "orders", "database")
