"""Findings: clothes that a refusal wore, hops that cannot be seen, data that should not be there."""

import pytest
from support.draw import judged


@pytest.mark.parametrize(
    ("given", "answered", "rewritten"),
    [(401, 403, True), (403, 500, True), (403, 403, False), (403, 404, False), (429, 503, True), (401, 401, False)],
)
def test_a_hop_that_turns_one_status_into_another_is_said(given, answered, rewritten):
    trace = judged(f"""
        billing: GET /x  {answered}
          billing: > GET http://tax:8080/x  {given}
            tax: GET /x  {given}
    """)
    assert ("status_rewritten" in trace.kinds) is rewritten


def test_grpc_and_http_that_mean_the_same_are_no_rewriting():
    trace = judged("""
        gateway: GET /x  403
          gateway: > ledger.v1.Ledger/Get  7 message="caller lacks role"
            ledger: = ledger.v1.Ledger/Get  7  @ledger
    """)
    assert (trace.origin, trace.reason) == ("ledger", "caller lacks role")
    assert "status_rewritten" not in trace.kinds


def test_a_stores_refusal_that_came_out_as_a_500_is_rewritten():
    trace = judged("""
        orders: GET /x  500
          orders: SELECT t  error="permission denied for table t"
    """)
    assert "status_rewritten" in trace.kinds


def test_an_engines_no_that_came_out_as_a_500_is_too():
    trace = judged("""
        orders: GET /x  500
          orders: > POST http://policy/v1/decide  200
            policy: POST /v1/decide  200 authz.decision=deny
    """)
    assert (trace.outcome, "status_rewritten" in trace.kinds) == ("denied", True)


def test_a_token_endpoint_says_no_with_400_by_its_own_rules():
    trace = judged("""
        hydra: POST /oauth2/token  400
          hydra: oauth2.newTokenHandler  event=OAuth2TokenExchangeError:ErrorReason=invalid_grant
    """)
    assert trace.kinds & {"status_rewritten", "masked_denial"} == set()


def test_a_hop_that_is_known_to_send_spans_is_missing():
    trace = judged("""
        orders: GET /x  200
          orders: > GET http://stock:8080/a  200
            stock: GET /a  200
          orders: > GET http://stock:8080/b  200
    """)
    assert "missing_hop" in trace.kinds
    assert "uninstrumented_peer" not in trace.kinds


def test_one_that_never_sent_any_is_not_instrumented_until_configuration_says_otherwise():
    drawing = "orders: GET /x  200\n  orders: > GET http://crm.sales.svc.cluster.local:8080/b  200"
    assert judged(drawing).kinds == {"uninstrumented_peer"}
    assert judged(drawing, known_services=frozenset({"crm"})).kinds == {"missing_hop"}


@pytest.mark.parametrize(
    "call",
    [
        "orders: SELECT t",
        "orders: send t",
        "orders: S3.GetObject  kind=client rpc.system=aws-api rpc.service=S3 http.status_code=200",
        "orders: > GET https://storage.googleapis.com/b  200",
        'orders: > GET http://crm:8080/b  error raises="ConnectError:connection refused"',
    ],
    ids=["database", "broker", "cloud SDK", "cloud host", "no connection"],
)
def test_what_is_no_hop_is_not_missing(call):
    assert judged(f"orders: GET /x  200\n  {call}").kinds & {"missing_hop", "uninstrumented_peer"} == set()


def test_a_call_that_only_carries_another_is_not_missing():
    trace = judged("""
        orders: GET /x  200
          orders: > a.A/Get  0
            orders: > POST http://a:8080/a.A/Get  200
              a: = a.A/Get  0
    """)
    assert trace.kinds & {"missing_hop", "uninstrumented_peer"} == set()


def test_a_lone_span_of_an_inner_service_lost_its_context():
    assert "broken_propagation" in judged("orders: GET /orders/7  403 client.address=10.2.0.9").kinds
    assert "broken_propagation" not in judged("edge-gateway: GET /orders/7  403").kinds
    assert "broken_propagation" not in judged("orders: GET /orders/7  403 client.address=203.0.113.9").kinds


def test_authentication_that_took_most_of_a_long_request_is_slow():
    slow = """
        gateway: GET /x  200 0-2000ms
          gateway: auth.token_validate  auth=passed 10-1500ms
          gateway: > GET http://orders/x  200 1510-1900ms
            orders: GET /x  200 1520-1890ms
    """
    assert "slow_auth" in judged(slow).kinds
    assert "slow_auth" not in judged(slow.replace("GET /x  200 0-2000ms", "POST /login  200 0-2000ms")).kinds
    assert "slow_auth" not in judged(slow.replace("10-1500ms", "10-500ms")).kinds


def test_and_so_is_one_far_above_the_routes_usual():
    drawing = "gateway: GET /x  200 0-900ms\n  gateway: auth.token_validate  auth=passed 10-500ms"
    assert "slow_auth" not in judged(drawing).kinds
    assert "slow_auth" in judged(drawing, route_auth_ns=20_000_000).kinds


def test_damage_that_the_repair_listed_is_repeated():
    trace = judged(
        """
        gateway: GET /x  403 parent=check @root
          gateway: > GET http://orders/x  403
            orders: GET /x  403 twice
              orders: auth.permission_check  auth=refused because=no  @check
        """,
        partial=True,
    )
    assert {"parent_cycle", "duplicate_spans", "truncated_trace"} <= trace.kinds
    assert trace.origin == "check"


@pytest.mark.parametrize(
    ("attribute", "secret"),
    [
        ("http.request.header.authorization", "Bearer 0123456789abcdefghij"),
        ("url.query", "user=a&password=hunter2-9f41"),
        ("db.connection_string", "postgres://app:s3cr3t-pw@db/shop"),
        ("app.config.api_key", "9f8e7d6c5b4a"),
        ("http.request.header.cookie", "sid=abcdef0123456789"),
        ("note", "AKIAIOSFODNN7EXAMPLE"),
        ("exception.stacktrace", "token=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYWxsb3J5In0.c2lnbmF0dXJl"),
    ],
)
def test_a_secret_is_located_and_never_shown(attribute, secret):
    trace = judged(f"""
        orders: GET /x  403 "{attribute}={secret}"
          orders: auth.permission_check  auth=refused "because=refused for {secret}"
    """)
    found = [f for f in trace.findings if f.kind == "secret_in_attributes"]
    assert any(attribute in f.detail for f in found)
    last = secret.split("=")[-1].split(" ")[-1]
    assert last not in repr(trace.verdict)
    assert trace.reason.startswith("refused for")


@pytest.mark.parametrize(
    "harmless",
    ["auth.token_type=jwt", "auth.failure_reason=token is expired", "password=[REDACTED]", "http.request.header.cookie=***",
     "db.query.text=SELECT password FROM users", "app.has_token=true", "url.path=/reset-password"],
)  # fmt: skip
def test_words_about_secrets_are_none(harmless):
    assert "secret_in_attributes" not in judged(f'orders: GET /x  200 "{harmless}"').kinds


@pytest.mark.parametrize(
    ("attribute", "personal"),
    [("user.email=mallory@shop.example", True), ("auth.username=mallory", True), ("user.full_name=Mallory Archer", True),
     ("note=call +49 170 1234567", True), ("user.id=8f14e45f-ceea-467f-a34e-2c4b8a5d3f11", False), ("enduser.id=48213", False),
     ("auth.subject=user:17", False), ("middleware=office-only@docker", False), ("client.address=203.0.113.9", False)],
)  # fmt: skip
def test_personal_data_is_what_names_somebody(attribute, personal):
    assert ("pii_in_attributes" in judged(f'orders: GET /x  200 "{attribute}"').kinds) is personal


def test_addresses_count_where_so_configured():
    drawing = "orders: GET /x  200 client.address=203.0.113.9"
    assert "pii_in_attributes" in judged(drawing, client_address_is_pii=True).kinds


def test_who_and_from_where():
    trace = judged("""
        gateway: GET /x  403 client.address=203.0.113.50:41234
          gateway: auth.token_validate  auth=passed auth.subject=mallory
          gateway: > GET http://orders/x  403
            orders: GET /x  403 client.address=10.0.0.4
              orders: auth.permission_check  auth=refused because=no
    """)
    assert (trace.principal, trace.client_address) == ("mallory", "203.0.113.50")


@pytest.mark.parametrize(
    ("line", "personal"),
    [
        ("orders: load  enduser.id=mary", True),
        ("orders: load  enduser.id=01J9ZQ3V5EXAMPLE7K2M8P4R6T", False),
        ("orders: load  enduser.id=auth0|5f7c8ec7c33c6c004bbafe82", False),
        ("orders: load  enduser.id=u1", False),
        ("orders: load  enduser.id=arn:aws:iam::123456789012:role/orders", False),
        ("orders: SELECT orders  user.name=shop", False),
    ],
)
def test_an_opaque_id_is_nobodys_name(line, personal):
    trace = judged(f"orders: GET /x  200\n  {line}")
    assert ("pii_in_attributes" in trace.kinds) is personal


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://cache:6379", False),
        ("redis://app:s3cr3tpw@cache:6379", True),
        ("Endpoint=sb://x/;SharedAccessKey=Zm9vYmFyYmF6", True),
    ],
)
def test_a_connection_string_holds_a_secret_only_where_it_has_one(text, secret):
    trace = judged(f'orders: GET /x  200\n  orders: GET k  kind=client db.system=redis db.connection_string="{text}"')
    assert ("secret_in_attributes" in trace.kinds) is secret


def test_prose_about_a_token_names_no_secret():
    trace = judged("""
        stock: GET /x  401
          stock: auth.token_validate  auth=refused because="invalid token: token has invalid claims: token is expired"
    """)
    assert trace.reason == "invalid token: token has invalid claims: token is expired"
