"""Guards that leave no result: what their place, their name and the status of their hop tell."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged

EXPRESS = "scope=@opentelemetry/instrumentation-express express.type=middleware"
ROUTER = "scope=@opentelemetry/instrumentation-router router.type=middleware"


def wrapped(name: str, more: str = "") -> str:
    """A middleware as Express 5 tells of it: its own span inside its router's."""
    return f"""
          orders: middleware - patched  {ROUTER} router.name=patched
            orders: middleware - {name}  {EXPRESS} express.name={name} {more}"""


def test_a_wrapped_guard_that_others_followed_let_the_request_pass():
    trace = judged(f"""
        orders: GET /orders  200
          {wrapped("authenticate")}
          {wrapped("orders")}
    """)
    assert (trace.outcome, trace.confidence) == ("allowed", "medium")


def test_one_that_failed_did_not_although_the_error_handler_followed():
    trace = judged(f"""
        orders: GET /orders  500 error
          {wrapped("authenticate", 'error="no keys" raises="ECONNREFUSED:connect ECONNREFUSED"')}
          {wrapped("<anonymous>")}
    """)
    assert trace.outcome == "error"
    assert ("application", "allow") not in trace.met


@pytest.mark.parametrize(
    ("name", "status", "phase"),
    [("requireAccountant", 403, "authz"), ("requireAccountant", 401, "authn"), ("authenticate", 403, "authn"),
     ("checkRole", 401, "authz")],
)  # fmt: skip
def test_the_phase_of_a_guard_is_in_its_name_or_in_the_status(name, status, phase):
    trace = judged(f"""
        orders: GET /orders  {status}
          {wrapped("query")}
          {wrapped(name, "@guard")}
    """)
    assert (trace.outcome, trace.origin, trace.phase, trace.confidence) == ("denied", "guard", phase, "medium")


def test_the_last_middleware_before_a_429_is_the_limiter():
    trace = judged(f"""
        orders: GET /orders  429
          {wrapped("<anonymous>", "@limiter")}
    """)
    assert (trace.origin, trace.layer, trace.phase) == ("limiter", "rate_limiter", "authz")


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("entitlements are not known", "error"), ("Forbidden resource", "error"), ("missing role clerk", "denied")],
)
def test_a_framework_guard_whose_last_question_failed_was_broken_unless_it_says_what_was_wrong(words, outcome):
    trace = judged(f"""
        desk: POST /share  403
          desk: Documents.share  error="{words}" raises="ForbiddenException:{words}" scope=@opentelemetry/instrumentation-nestjs-core nestjs.type=request_context
            desk: > GET http://entitlements/share  error="connect ECONNREFUSED" error.type=Error
    """)
    assert trace.outcome == outcome
    assert ("fail_closed" in trace.kinds) is (outcome == "error")


def test_of_two_that_began_in_one_millisecond_the_one_at_the_route_came_later():
    trace = judged(f"""
        shop: GET /invoices  403 0-9ms
          shop: middleware - requireBookkeeper  {EXPRESS} express.name=requireBookkeeper http.route=/invoices 1-1.5ms @guard
          shop: middleware - authenticate  {EXPRESS} express.name=authenticate http.route=/ 1-1.6ms
    """)
    assert (trace.origin, trace.phase) == ("guard", "authz")


@pytest.mark.parametrize(("path", "outcome"), [("/profile", "denied"), ("/login", "no_auth_evidence")])
def test_a_guard_that_ended_in_a_redirect_sent_the_client_to_log_in(path, outcome):
    trace = judged(f"""
        accounts: GET {path}  302
          accounts: request handler - {path}  {ROUTER} router.name=requireLogin @guard
    """)
    assert trace.outcome == outcome
    assert trace.origin == ("guard" if outcome == "denied" else None)


KOA = "scope=@opentelemetry/instrumentation-koa koa.type=middleware"


def test_what_ran_inside_a_koa_guard_came_after_it():
    trace = judged(f"""
        stock: GET /margins  500 error
          stock: middleware - jwt  {KOA} koa.name=jwt
            stock: router - /margins  scope=@opentelemetry/instrumentation-koa koa.type=router koa.name=/margins raises="ER_TABLEACCESS_DENIED_ERROR:SELECT command denied"
              stock: SELECT margins  db.system=mysql error="SELECT command denied to user 'reader'"  @query
    """)
    assert (trace.outcome, trace.origin, trace.layer) == ("denied", "query", "database")


def test_a_hook_seen_by_the_older_fastify_instrumentation_guards_as_well():
    hook = "scope=@opentelemetry/instrumentation-fastify fastify.type=middleware"
    refused = judged(f"""
        store: GET /stock  401
          store: middleware - authenticate  {hook} @hook
    """)
    assert (refused.origin, refused.phase, refused.confidence) == ("hook", "authn", "medium")
    passed = judged(f"""
        store: GET /stock  200
          store: middleware - authenticate  {hook}
          store: request handler - relay  scope=@opentelemetry/instrumentation-fastify fastify.type=request_handler
    """)
    assert passed.outcome == "allowed"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("requireClerk", "requireClerk refused; it records no reason"),
        ("<anonymous>", "a middleware without a name refused; it records no reason"),
    ],
)
def test_a_guards_name_is_no_reason(name, reason):
    trace = judged(f"""
        orders: GET /orders  403
          {wrapped(name)}
    """)
    assert (trace.reason, trace.sentence) == (reason, f"orders refused the request: {reason}")
