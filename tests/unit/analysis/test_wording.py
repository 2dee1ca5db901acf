"""The sentences of a verdict, as people write them."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged

from app.analysis import wording


@pytest.mark.parametrize(
    ("text", "written"),
    [("failure", '"failure"'), ("403", "403"), ("false", "false"), ("0.5", "0.5"), ("-1", "-1"), ("", '""'), ("1 of 2", '"1 of 2"'),
     ("x" * 300, f'"{"x" * 199}…"')],
)  # fmt: skip
def test_numbers_and_booleans_stand_bare_and_texts_in_double_quotes(text, written):
    assert wording.value(text) == written


def test_a_check_and_its_enforcement():
    trace = judged("""
        orders: DELETE /orders/7  403
          orders: auth.permission_check  auth=refused because="missing role clerk"
    """)
    assert trace.because[:3] == (
        'orders decided: auth.result = "failure" on auth.permission_check.',
        'It says why: auth.failure_reason = "missing role clerk".',
        "orders enforced it: http.response.status_code = 403 on DELETE /orders/7.",
    )


def test_a_databases_refusal():
    drawing = """
        orders: GET /ledger  500 error{who}
          orders: SELECT ledger  db.response.status_code=42501 error="permission denied for table ledger"
    """
    assert judged(drawing.format(who="")).sentence == "The database shop refused orders: permission denied for table ledger"
    known = judged(drawing.format(who=" enduser.id=mary")).sentence
    assert known == "The database shop refused orders for mary: permission denied for table ledger"


def test_a_call_that_broke():
    trace = judged("""
        gateway: GET /orders  403
          gateway: > GET http://orders/orders  403
            orders: GET /orders  403
              orders: > POST http://policy/decide  error="deadline exceeded"
    """)
    assert trace.sentence == (
        "The call POST /decide of orders to policy broke: deadline exceeded; orders failed closed. Nobody refused."
    )


@pytest.mark.parametrize(
    ("span", "target"),
    [
        ("SELECT x  server.address=10.0.0.7", "shop"),
        ("GET k  kind=client db.system=redis db.namespace=0 server.address=127.0.0.1", "redis"),
        ("GET k  kind=client db.system=redis server.address=127.0.0.1 peer.service=sessions", "sessions"),
        ("GET k  kind=client db.system=redis server.address=cache.shop", "cache.shop"),
        ("send refunds  server.address=::1", "refunds"),
        ("send refunds  server.address=kafka-1.shop", "kafka-1.shop"),
    ],
)
def test_a_store_is_called_by_its_name_rather_than_by_a_bare_address(span, target):
    trace = judged(f"""
        orders: GET /x  500 error
          orders: {span} error="timed out"
    """)
    assert [entry.target for entry in trace.layers if entry.decision == "error"] == [target]


def test_an_engine_known_by_its_address_alone_is_called_what_it_is():
    trace = judged("""
        orders: GET /x  403
          orders: > POST http://10.0.0.7:8181/v1/data/shop/allow  200
    """)
    assert trace.sentence.startswith("The policy engine at 10.0.0.7 refused the request: ")
