"""A check whose span lasts until the request's end, because a middleware ends it after the next one, hides nothing below it."""

import pytest
from support.draw import judged


@pytest.mark.parametrize("call", ["gateway: > POST http://orders:8080/refunds/7  403", "gateway: next"])
def test_a_refusal_inside_a_check_that_had_passed_is_found(call):
    trace = judged(f"""
        gateway: POST /refunds/7  403
          gateway: auth.token_validate  auth=passed
            {call}
              orders: POST /refunds/7  403
                orders: auth.permission_check  auth=refused because="missing role finance"  @check
    """)
    assert (trace.origin, trace.layer, trace.confidence) == ("check", "application", "high")
    assert trace.enforced_by.service == "orders"


def test_so_is_a_store_that_refused_and_a_service_that_broke():
    refused = 'error raises="psycopg.errors.InsufficientPrivilege:permission denied for table ledger"'
    trace = judged(f"""
        orders: POST /x  500
          orders: auth.token_validate  auth=passed
            orders: INSERT ledger  {refused}  @sql
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("denied", "sql", "database")
    trace = judged("""
        orders: POST /x  502
          orders: auth.token_validate  auth=passed
            orders: > GET http://stock:80/items  error="connection refused"  @call
    """)
    assert (trace.outcome, trace.origin) == ("error", "call")


def test_a_check_that_asked_several_and_passed_stays_passed():
    trace = judged("""
        orders: POST /x  403
          orders: auth.permission_check  auth=passed  @check
            orders: > POST http://opa:8181/v1/data/x  200
              opa: POST /v1/data/x  200  authz.decision=deny  @engine
    """)
    assert trace.origin not in ("engine", "check")


def test_what_came_after_the_check_had_ended_explains_the_answer():
    trace = judged("""
        orders: POST /x  403
          orders: auth.token_validate  auth=passed
            orders: > GET http://profiles:80/me  403  @profile
          orders: auth.permission_check  auth=refused because=no  @permission
    """)
    assert trace.origin == "permission"


def test_a_request_that_ended_well_was_let_through():
    trace = judged("""
        orders: GET /x  200
          orders: auth.token_validate  auth=passed
            orders: > GET http://hints:80/me  403
    """)
    assert trace.outcome in ("allowed", "partially_denied")
