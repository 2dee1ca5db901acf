"""More of the rarer outcomes: inconclusive, bypassed, in part, broken, and silent."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Span, exception, trace
from instruments import JS, JVM, Service, authorize, filters, keycloak_event, spring

gw = Service("north-gateway", "go")
grants = Service("grants-desk", "django")
library = Service("library", "java", old=True)
studio = Service("studio-api", "undici")
depot = Service("depot", "gin")
lend = Service("lending-desk", "spring")


def ok(subject: str) -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject})


# ---------------------------------------------------------------------------------------- inconclusive, and nearly so
trace(
    "two-callees-answered-then-403",
    gw.serve("POST /v3/loans", 403, gw.call(library.serve("POST /loans", 403, library.call(studio.serve("GET /members/:id", 200)),
                                                          library.call(depot.serve("GET /holdings/:id", 200)))), ip="192.0.2.130"),
    outcome="inconclusive", layer=None, span_id=None, entry_status=403, client_address="192.0.2.130", no_findings=["missing_hop", "fail_closed"],
    why="Rule 6: callees that answered 2xx may have said no in their bodies.")

trace(
    "grpc-callee-said-ok-then-403",
    gw.serve("GET /v3/films/{id}", 403, gw.call(studio.serve("GET /films/:id", 403, studio.ask(depot.answer("media.v1.Rights/Describe", "OK"))))),
    outcome="inconclusive", layer=None, span_id=None,
    why="Rule 6: a callee that answered OK may have said no in its body, and it is no known engine.")

trace(
    "session-service-answered-200-then-401",
    gw.serve("GET /v3/shelves", 401, gw.call(Service("sessions", "fastapi", old=True).serve("GET /sessions/{id}", 200))),
    outcome="inconclusive", layer=None, span_id=None, entry_status=401,
    why="Rule 6: the session service's 200 may hold `expired` in its body.")

trace(
    "callee-without-status-sends-spans-elsewhere",
    gw.serve("POST /v3/scripts", 403, gw.call(studio.serve("POST /scripts", 403, studio.call(depot.serve("GET /paper", 200)),
                                                           studio.fetch("POST http://depot:8080/claims", None)))),
    outcome="inconclusive", layer=None, span_id=None, findings=["missing_hop"],
    why="Rule 6: an unset CLIENT span without a status, to a service that does send spans.")

trace(
    "configuration-read-then-403",
    gw.serve("GET /v3/archive", 403, gw.call(library.serve("GET /archive", 403, library.fetch("GET http://config-server:8888/library/default", 200),
                                                           library.query("SELECT state FROM archive", table="archive"), mark="leaf"))),
    outcome="denied", layer="application", service="library", where="leaf", confidence=["medium"],
    why="Rule 6: a configuration fetch and a database read that succeeded do not count.")

trace(
    "check-visible-beside-silent-callee",
    gw.serve("POST /v3/loans", 403, gw.call(library.serve("POST /loans", 403, library.call(studio.serve("GET /members/:id", 200)),
                                                          library.check(False, "membership fee overdue", mark="refusal")))),
    outcome="denied", layer="application", service="library", where="refusal", reason="fee overdue", confidence=["high"], findings=["relayed_by"],
    why="Rule 2: the explicit check after the silent callee is the deepest decision that explains the refusal.")

# ---------------------------------------------------------------------------------------- bypassed
trace(
    "gateway-forwards-despite-bad-token",
    gw.serve("POST /v3/grants", 201, gw.token(False, "signature verification failed", mark="refusal", attrs={"auth.token_type": "jwt"}), gw.call(grants.serve(
        "POST grants/", 201, grants.query("INSERT INTO grants (title) VALUES (%s)", table="grants")))),
    outcome="bypassed", layer="api_gateway", phase="authn", service="north-gateway", where="refusal", reason="signature", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"]], entry_status=201,
    why="Outcomes: a layer refused the request and the protected thing happened all the same.")

trace(
    "spring-denies-and-controller-runs",
    spring(lend, "PUT /loans/{id}", 200, filters(lend, authorize(lend, True, "AuthorizationDecision [granted=true]")), lend.span(
        "secured request", authorize(lend, False, "AuthorizationDecision [granted=false]", on="method", mark="refusal"),
        lend.query("UPDATE loan SET rate = ? WHERE id = ?", table="loan"), scope="org.springframework.boot")),
    outcome="bypassed", layer="application", phase="authz", service="lending-desk", where="refusal", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"]],
    why="Outcomes: the method's check refused and the guarded update ran.")

trace(
    "worker-denies-and-books-anyway",
    (worker := Service("fee-worker", "java")).consume("kafka", "fees", worker.check(False, "mandate withdrawn", mark="refusal"),
                                                      worker.query("INSERT INTO fee (id) VALUES (?)", table="fee"), scope=f"{JVM}.kafka-clients-2.6"),
    outcome="bypassed", layer="application", service="fee-worker", where="refusal", reason="mandate withdrawn", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"]],
    why="Outcomes: the protected action was refused and happened all the same, here without any client.")

trace(
    "denied-command-is-still-sent",
    gw.serve("POST /v3/doors/{id}/open", 202, ok("m-1"), gw.call(studio.serve("POST /doors/:id/open", 202, studio.check(False, "not on shift", mark="refusal"),
                                                                             studio.publish("kafka", "door-commands", scope=f"{JS}-kafkajs#0.18.0")))),
    outcome="bypassed", layer="application", service="studio-api", where="refusal", reason="not on shift", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["message", "after_denial"]], entry_status=202,
    why="Outcomes: the check refused and the command went out.")

# ---------------------------------------------------------------------------------------- in part
trace(
    "one-recipient-of-four-refused",
    gw.serve("POST /v3/notices", 200, ok("m-2"), gw.call(studio.serve("POST /notices", 200, *(
        studio.ask(depot.answer("notice.v1.Notices/Deliver", "PERMISSION_DENIED" if i == 2 else "OK", text="recipient blocked the sender" if i == 2 else "",
                                mark=f"call{i}"), beside=True) for i in range(4))))),
    outcome="partially_denied", layer="application", phase="authz", service="depot", where="call2", reason="blocked the sender", entry_status=200,
    no_findings=["fail_open", "retried"],
    why="Outcomes: fan-out with one branch refused.")

trace(
    "page-without-its-banner",
    gw.serve("GET /v3/start", 200, gw.call(studio.serve("GET /start", 200, studio.call(grants.serve("GET banners/", 403)), studio.call(library.serve("GET /new", 200))))),
    outcome="partially_denied", service="grants-desk", layer="application", no_findings=["fail_open", "missing_hop"],
    why="Outcomes: an optional part was refused by protocol and the request went on.")

# ---------------------------------------------------------------------------------------- broken
trace(
    "upstream-times-out-after-good-token",
    gw.serve("GET /v3/catalog", 504, ok("m-3"), gw.fetch("GET http://library:8080/catalog", None, error="context deadline exceeded", lasts=8000, mark="call",
                                                       message="context deadline exceeded")),
    outcome="error", service="north-gateway", where="call", entry_status=504, no_findings=["fail_closed", "fail_open", "slow_auth"],
    why="Rule 5: a timeout is no refusal; every visible check had allowed.")

trace(
    "login-page-of-provider-crashes",
    (kc := Service("keycloak", "quarkus")).serve("POST /realms/{realm}/login-actions/authenticate", 500, kc.query(
        "SELECT * FROM user_entity", table="user_entity", status="error", mark="store",
        events=[exception("org.postgresql.util.PSQLException", "Connection to kc-db:5432 refused. Check that the hostname and port are correct")]), path="/realms/main/login-actions/authenticate"),
    outcome="error", layer="database", service="keycloak", where="store", entry_status=500, no_findings=["fail_open", "masked_denial"],
    why="Who is named: where a user store broke, the layer is the store's own; nobody judged the password.")

trace(
    "plain-allowed-read",
    gw.serve("GET /v3/search", 200, gw.token(True, attrs={"auth.subject": "m-4"}), gw.call(studio.serve("GET /search", 200))),
    outcome="allowed", layer=None, principal="m-4", confidence=["high"], no_findings=["fail_open", "slow_auth"],
    why="An explicit allow on a whole path.")

trace(
    "authorizer-breaks-optional-part-only",
    gw.serve("GET /v3/home", 200, ok("m-5"), gw.call(studio.serve(
        "GET /home", 200, studio.call(depot.serve("GET /offers", 503, depot.fetch("POST http://opa:8181/v1/data/offers/allow", None, error="timeout", lasts=900)))))),
    outcome="allowed", layer=None, no_findings=["fail_closed"],
    why="The client got what it asked for and no layer refused; the broken branch was tolerated.",
    doubt="whether a branch that broke makes the request `error`; the entry answered 200")

# ---------------------------------------------------------------------------------------- silent
trace(
    "silent-and-torn",
    gw.serve("GET /v3/maps", 200, gw.call(depot.serve("GET /maps", 200, depot.query("SELECT * FROM maps", table="maps")), lost=True)),
    outcome="no_auth_evidence", layer=None, span_id=None, findings=["orphan_spans"], confidence=["low"],
    why="Confidence: no_auth_evidence is high where the trace is whole, else low.")

trace(
    "nightly-job",
    depot.span("nightly stocktaking", depot.query("SELECT * FROM stock", table="stock"), depot.query("UPDATE stock SET counted = true", table="stock"), scope="depot.jobs"),
    outcome="no_auth_evidence", layer=None, span_id=None, side_effects=[["db_write", "no_denial"]], no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 6: no signal.")

trace(
    "token-issued-by-provider",
    gw.serve("POST /v3/token", 200, gw.call(kc.serve("POST /realms/{realm}/protocol/{protocol}/token", 200, path="/realms/main/protocol/openid-connect/token",
                                                     events=[keycloak_event("CODE_TO_TOKEN", ip="192.0.2.140", auth_method="openid-connect")]))),
    outcome="allowed", layer=None, layers=[["identity_provider", "allow"]], no_findings=["masked_denial"],
    why="Catalogue D: CODE_TO_TOKEN is an allow of the identity provider.")
