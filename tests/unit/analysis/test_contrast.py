"""A refused request beside an allowed one: where they part, what differs there, and when nothing can be said."""

import json

import msgspec
import pytest
from support.draw import spans_of, tagged

from app.analysis.contrast import Contrast, called, contrast
from app.traces.build import build
from app.traces.model import Trace
from app.traces.otlp import Decoded

REFUSED = """
    gateway: POST /refunds/7  403
      gateway: auth.token_validate  auth=passed auth.subject=anna  @token
      gateway: > POST http://orders:8080/refunds/7  403
        orders: POST /refunds/7  403
          orders: auth.permission_check  auth=refused because="missing role finance_admin" user.roles=[clerk]  @check
"""
ALLOWED = """
    gateway: POST /refunds/9  201
      gateway: auth.token_validate  auth=passed auth.subject=bob
      gateway: > POST http://orders:8080/refunds/9  201
        orders: POST /refunds/9  201
          orders: auth.permission_check  auth=passed user.roles=[clerk,finance_admin]
          orders: INSERT refunds
"""


def trace_of(text: str, trace_id: str) -> Trace:
    return build(Decoded([msgspec.structs.replace(span, trace_id=trace_id) for span in spans_of(text)]))


def compare(denied: str, allowed: str) -> Contrast:
    return contrast(trace_of(denied, "d" * 32), trace_of(allowed, "a" * 32))


def differing(found: Contrast) -> dict[str, tuple]:
    return {d.attribute: (d.denied, d.allowed) for d in found.differences}


# ------------------------------------------------------------------------------------------------------ where they part


def test_two_requests_of_one_route_part_at_the_check_that_refused():
    found = compare(REFUSED, ALLOWED)
    assert found.comparable
    assert (found.parting.service, found.parting.name, found.parting.is_check) == ("orders", "auth.permission_check", True)
    assert found.parting.denied.span_id == tagged(REFUSED)["check"]
    assert (found.parting.denied.decision, found.parting.allowed.decision) == ("deny", "allow")
    assert [(check.service, check.name) for check in found.passed] == [("gateway", "auth.token_validate")]
    assert found.sentence == (
        "Both passed the token check of gateway; they part at the permission check of orders: "
        'denied lacks role finance_admin: user.roles "clerk" against "clerk, finance_admin".'
    )
    assert [(step.service, step.name) for step in found.only_allowed] == [("orders", "INSERT refunds")]
    assert found.only_denied == ()


def test_the_second_of_three_equal_checks_is_told_from_the_first_and_the_third():
    head = "edge: POST /batch  {}\n"
    line = "  edge: auth.permission_check  auth={} item={} {}\n"
    denied = head.format(403) + line.format("passed", "a", "") + line.format("refused", "b", "because=no  @second")
    allowed = head.format(200) + "".join(line.format("passed", item, "") for item in ("a", "x", "c"))
    found = compare(denied, allowed)
    assert found.parting.denied.span_id == tagged(denied)["second"]
    assert differing(found)["item"] == ("b", "x")
    assert len(found.passed) == 1
    assert [step.name for step in found.only_allowed] == ["auth.permission_check"]


def test_a_hop_that_refused_by_itself_is_compared_by_its_answer():
    found = compare("shop: GET /orders/1  403  user.id=anna", "shop: GET /orders/2  200  user.id=bob")
    assert not found.parting.is_check
    assert (found.parting.denied.status, found.parting.allowed.status) == (403, 200)
    assert found.sentence == (
        'They part at the answer of shop to GET /orders/1: 403 against 200; user.id "anna" against "bob".'
    )


def test_a_check_that_only_the_refused_request_shows_is_said_to_be_alone():
    denied = """
        edge: GET /x  403
          edge: auth.permission_check  auth=refused because="address blocked" client.address=203.0.113.9
    """
    found = compare(denied, "edge: GET /x  200\n  edge: auth.token_validate  auth=passed")
    assert found.parting.allowed is None
    assert found.parting.met_in == "GET /x of edge"
    assert "the allowed request shows no such check" in found.sentence
    assert [step.name for step in found.only_denied] == ["auth.permission_check"]
    assert any("only when it refuses" in caveat for caveat in found.caveats)


def test_a_refusal_before_routing_has_no_template_and_is_the_same_route():
    denied = 'shop: GET /orders/1234  401  error=""  http.route='
    allowed = "shop: GET /orders/77  200  http.route=/orders/{id}"
    assert compare(denied, allowed).comparable


def test_a_name_in_the_entrys_path_varies_in_the_calls_below_as_well():
    drawing = """
        gateway: GET /users/{who}/card  {status} http.route=/users/{{name}}/card
          gateway: > GET http://cards:80/cards/{who}  {status}
            cards: GET /cards/{who}  {status}
              cards: auth.permission_check  {said} level={who}1
    """
    denied = drawing.format(who="anna", status=403, said="auth=refused because=no")
    allowed = drawing.format(who="bob", status=200, said="auth=passed")
    assert compare(denied, allowed).parting.allowed is not None
    # Without a template nothing says that the two names are of one kind.
    assert not compare(denied.replace("http.route", "x"), allowed.replace("http.route", "x")).comparable


def test_a_sidecar_that_one_trace_lacks_is_looked_through():
    with_sidecar = """
        gateway: POST /refunds/9  201
          gateway: auth.token_validate  auth=passed auth.subject=bob
          gateway: > POST http://orders:8080/refunds/9  201
            orders-proxy: POST /refunds/9  201  scope=envoy component=proxy
              orders-proxy: > POST http://127.0.0.1:8080/refunds/9  201
                orders: POST /refunds/9  201
                  orders: auth.permission_check  auth=passed user.roles=[finance_admin]
    """
    found = compare(REFUSED, with_sidecar)
    assert found.parting.allowed is not None
    assert found.parting.name == "auth.permission_check"
    assert [step.service for step in found.only_allowed] == ["orders-proxy"]


def test_an_engine_that_says_no_is_compared_with_its_own_yes():
    drawing = """
        orders: GET /orders/7  {status}
          orders: > POST http://opa:8181/v1/data/orders/allow  200
            opa: POST /v1/data/orders/allow  200  authz.decision={said} input.user={user}
    """
    found = compare(drawing.format(status=403, said="deny", user="anna"), drawing.format(status=200, said="allow", user="bob"))
    assert (found.parting.service, found.parting.allowed.decision) == ("opa", "allow")
    assert differing(found)["input.user"] == ("anna", "bob")


def test_what_broke_is_compared_as_something_broken():
    drawing = "orders: GET /x  {}\n  orders: > GET http://identity:80/introspect  {}"
    found = compare(drawing.format(503, '503 error="connection refused"'), drawing.format(200, 200))
    assert found.denied.outcome == "error"
    assert found.parting.denied.decision == "error"


def test_what_a_refused_request_has_not_got_is_no_reason_by_itself():
    drawing = "gateway: GET /x  {}\n  gateway: auth.token_validate  auth={} {}"
    found = compare(
        drawing.format(401, "refused", 'because="token expired"'), drawing.format(200, "passed", "user.roles=[clerk]")
    )
    assert differing(found)["user.roles"] == (None, "clerk")
    assert "user.roles" not in found.sentence


def test_a_store_that_answered_let_the_request_through():
    drawing = "orders: GET /x  {}\n  orders: SELECT ledger  {}"
    refused = 'error raises="psycopg.errors.InsufficientPrivilege:permission denied for table ledger"'
    found = compare(drawing.format(500, refused), drawing.format(200, ""))
    assert (found.parting.name, found.parting.allowed.decision) == ("SELECT ledger", "allow")


def test_a_call_that_only_the_refused_request_made_is_called_a_call():
    denied = "shop: GET /x  502\n  shop: > GET http://stock:80/items  error='connection refused' build=7"
    found = compare(denied, "shop: GET /x  200\n  shop: auth.token_validate  auth=passed")
    assert found.sentence.startswith("They part at the call GET /items of shop: it broke")
    assert "shows no such call" in found.sentence


def test_how_a_call_came_about_is_listed_and_not_told():
    drawing = "a: GET /x  {}  server.address={} tier={}"
    found = compare(drawing.format(403, "10.0.0.1", "gold"), drawing.format(200, "10.0.0.2", "gold"))
    assert "server.address" in differing(found)
    assert "server.address" not in found.sentence
    assert "nothing else" not in found.sentence


def test_nothing_that_differs_is_said_plainly():
    found = compare(REFUSED.replace("=anna", "=bob"), ALLOWED.replace("clerk,finance_admin", "clerk"))
    assert not [d for d in found.differences if not d.is_answer and not d.by_client]
    assert "nothing else that is recorded there differs" in found.sentence


# -------------------------------------------------------------------------------------------------------- what differs


def test_roles_in_another_order_do_not_differ():
    found = compare(REFUSED.replace("[clerk]", '"auditor clerk"'), ALLOWED.replace("[clerk,finance_admin]", "clerk,auditor"))
    assert "user.roles" not in differing(found)


def test_a_number_and_its_text_are_one_value():
    found = compare("a: GET /x  403 level=3", 'a: GET /x  200 level="3"')
    assert "level" not in differing(found)


def test_what_differs_between_any_two_requests_is_left_out():
    restless = "http.request_id=1 thread.id=2 net.peer.port=3 messaging.message.id=4 app.duration_ms=5 http.request.body.size=6"
    still = "tenant=north"
    found = compare(f"a: GET /x  403 {restless} {still}", "a: GET /x  200 tenant=south")
    assert set(differing(found)) == {"tenant", "http.response.status_code"}


def test_what_the_client_writes_is_marked_and_comes_last():
    found = compare(
        "a: GET /x  403 http.request.header.x-role=admin team=red", "a: GET /x  200 http.request.header.x-role=clerk team=blue"
    )
    marked = {d.attribute: d.by_client for d in found.differences if not d.is_answer}
    assert marked == {"team": False, "http.request.header.x-role": True}
    assert "x-role" not in found.sentence


@pytest.mark.parametrize(
    ("attribute", "one", "other"),
    [
        ("password", "hunter2-9f41", "hunter3-9f41"),
        (
            "note",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyIn0.c2ln",
        ),
        ("note", "A" * 5000, "B" * 5000),
    ],
)
def test_secrets_and_long_values_are_never_shown(attribute, one, other):
    found = compare(f"a: GET /x  403 {attribute}='{one}'", f"a: GET /x  200 {attribute}='{other}'")
    text = msgspec.json.encode(found).decode()
    for value in (one, other):
        assert value.removeprefix("Bearer ")[:40] not in text
    assert attribute in differing(found)


def test_a_secret_of_one_trace_is_hidden_where_the_other_repeats_it():
    found = compare("a: GET /x  403 api_key=k-77-canary note=fine", "a: GET /x  200 note='used k-77-canary'")
    assert "canary" not in msgspec.json.encode(found).decode()


def test_another_version_of_the_service_that_refused_is_told():
    denied = REFUSED.replace("        orders: POST", "        orders: POST").replace(
        "403\n          orders", "403 resource.service.version=2\n          orders"
    )
    allowed = ALLOWED.replace("201\n          orders: auth", "201 resource.service.version=1\n          orders: auth")
    found = compare(denied, allowed)
    assert differing(found)["service.version"] == ("2", "1")
    assert {d.where for d in found.differences if d.attribute == "service.version"} == {"service"}


# ------------------------------------------------------------------------------------------------------ not comparable


@pytest.mark.parametrize(
    ("denied", "allowed", "words"),
    [
        (
            REFUSED,
            ALLOWED.replace("refunds", "orders"),
            "ask for different things: POST /refunds/7 of gateway and POST /orders/9",
        ),
        (REFUSED, ALLOWED.replace("POST", "GET"), "ask for different things"),
        (REFUSED, ALLOWED.replace("gateway", "portal"), "ask for different things"),
        (ALLOWED.replace("/9", "/8"), ALLOWED, "Both requests were let through"),
        (ALLOWED, REFUSED, "the other way round"),
        (REFUSED, REFUSED, "Neither request was simply let through"),
    ],
    ids=["route", "method", "service", "both-allowed", "swapped", "both-denied"],
)
def test_what_cannot_be_compared_says_why(denied, allowed, words):
    found = compare(denied, allowed)
    assert not found.comparable
    assert words in found.why_not
    assert found.sentence == found.why_not
    assert (found.parting, found.differences, found.passed) == (None, (), ())


def test_a_trace_is_not_compared_with_itself():
    trace = trace_of(REFUSED, "d" * 32)
    assert "one and the same" in contrast(trace, trace).why_not


def test_an_allowed_request_without_any_check_is_pointed_out():
    found = compare(
        REFUSED,
        "gateway: POST /refunds/9  201\n  gateway: > POST http://orders:8080/refunds/9  201\n    orders: POST /refunds/9  201",
    )
    assert found.allowed.outcome == "no_auth_evidence"
    assert any("no check at all" in caveat for caveat in found.caveats)
    assert found.parting.met_in == "POST /refunds/7 of orders"


# ------------------------------------------------------------------------------------------------------------- hostile


def test_a_wide_and_a_deep_pair_come_to_an_end():
    one = "  edge: auth.permission_check  auth=passed\n  edge: SELECT orders\n"
    wide = "edge: GET /x  {}\n" + 1500 * one
    found = compare(wide.format(403) + "  edge: auth.permission_check  auth=refused because=no", wide.format(200))
    assert found.denied.outcome == "denied"
    assert found.caveats == ("The requests have more steps than are compared with each other.",)
    assert len(msgspec.json.encode(found)) < 200_000


def test_every_name_of_a_trace_is_text_and_nothing_else():
    found = compare(
        "a: GET /x  403\n  a: auth.permission_check  auth=refused because='<img src=x>' role='<b>'",
        "a: GET /x  200\n  a: auth.permission_check  auth=passed role=c",
    )
    assert json.loads(msgspec.json.encode(found))["parting"]["denied"]["reason"] == "<img src=x>"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("auth.permission_check", "the permission check"),
        ("auth.token_validate", "the token check"),
        ("auth.login", "the login"),
        ("authorize request", '"authorize request"'),
        ("auth.x1", '"auth.x1"'),
        ("auth.", '"auth."'),
    ],
)
def test_a_check_is_called_as_people_call_it(name, words):
    assert called(name) == words
