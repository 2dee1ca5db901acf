"""Drawn after the engine had been seen to err: smaller or sharper forms of what the blind traces showed.

They are labelled from the rules like the others, but they are no measure of what its author had not seen.
"""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Host, Span, trace
from instruments import JS, Service, authorize, envoy, fga, fga_walk, filters, middlewares, spring

gw = Service("fair-gateway", "go")
stalls = Service("stalls", "gin")
tents = Service("tents", "undici")
payroll = Service("payroll-office", "spring")
rides = Service("rides", "fastapi", old=True)
front = Host("front-envoy")


def ok() -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": "guest-4"})


# ---------------------------------------------------------------------------------------- a success decides no denial
trace(
    "allowed-by-its-only-check-and-still-403",
    gw.serve("GET /v5/stalls", 403, gw.call(stalls.serve("GET /stalls", 403, stalls.check(True), mark="leaf"))),
    outcome="denied", layer="application", service="stalls", where="leaf", confidence=["medium", "low"], findings=["relayed_by"],
    why="Rules 4 and 6: the visible check allowed, so it is not the refusal; the hop answered 403 and called nobody.")

trace(
    "entry-accepts-token-and-answers-401",
    gw.serve("GET /v5/stalls", 401, ok(), mark="leaf"),
    outcome="denied", layer="api_gateway", service="fair-gateway", where="leaf", confidence=["medium", "low"],
    why="Rules 4 and 6: an explicit success is no refusal, however near it stands to one.")

trace(
    "spring-grants-and-answers-403",
    spring(payroll, "GET /slips", 403, filters(payroll, authorize(payroll, True, "AuthorizationDecision [granted=true]")), mark="leaf"),
    outcome="denied", layer="application", service="payroll-office", where="leaf", confidence=["medium", "low"],
    why="Rules 4 and 6: decision=true is no refusal.")

# ---------------------------------------------------------------------------------------- words in an explicit reason
for word, reason in (
    ("number", "refunds above 500 need a second clerk"), ("unavailable", "stall is unavailable to children"),
    ("timeout", "quiet-hours timeout is in force"), ("refused", "connection refused by the house rules"),
):
    trace(
        f"reason-with-{word}-in-it",
        gw.serve("POST /v5/refunds", 403, ok(), gw.call(tents.serve("POST /refunds", 403, tents.check(False, reason, mark="refusal")))),
        outcome="denied", layer="application", phase="authz", service="tents", where="refusal", reason=reason, confidence=["high"],
        no_findings=["fail_closed"],
        why="Rules 4 and 5: the check answered and said no; words in its reason do not make it a broken dependency.")

# ---------------------------------------------------------------------------------------- what a client may write
trace(
    "agent-string-quotes-an-envoy-refusal",
    envoy(front, 200, rides.serve("GET /rides", 200), to="rides", attrs={"user_agent": "x jwt_authn_access_denied{Jwt_is_expired}"}),
    outcome="no_auth_evidence", layer=None, span_id=None,
    why="Rule 11: the agent string is the client's; a 200 was served.")

trace(
    "header-quotes-an-envoy-refusal-of-another",
    envoy(front, 403, rides.serve("GET /rides", 403, rides.check(False, "too small for this ride", mark="refusal")), to="rides",
          attrs={"http.request.header.x-note": "rbac_access_denied_matched_policy[all-guests]"}),
    outcome="denied", layer="application", service="rides", where="refusal", reason="too small", confidence=["high"],
    why="Rule 11: a request header is the client's; the service's own check decided.")

# ---------------------------------------------------------------------------------------- lost on the way
trace(
    "lost-server-span-children-remain",
    gw.serve("GET /v5/tents/{id}", 403, ok(), gw.call(tents.serve("GET /tents/:id", 403, tents.ask(
        (fga_svc := Service("openfga", "go", port=8081)).answer("openfga.v1.OpenFGAService/Check", "OK", fga(
            fga_svc, "Check", fga_walk(fga_svc, False), mark="check", allowed=False, user="user:4", relation="guest", object="tent:4711"))), lost=True))),
    outcome="denied", layer="policy_engine", phase="authz", service="openfga", where="check", findings=["orphan_spans"], confidence=["medium", "low"], enforced_by="tents",
    why="Rule 2 and confidence: spans of the called service hang below the lost span; an explicit decision with a gap on the path.")

trace(
    "lost-server-span-database-had-refused",
    gw.serve("GET /v5/rides", 500, gw.call(stalls.serve("GET /rides", 500, stalls.call(rides.serve("GET /rides", 500, rides.query(
        "SELECT * FROM rides", table="rides", status="error", mark="sql", message="permission denied for table rides",
        attrs={"db.response.status_code": "42501"}), lost=True))))),
    outcome="denied", layer="database", service="rides", where="sql", findings=["orphan_spans"], confidence=["medium", "low"],
    why="Rule 7: missing data lowers confidence, never raises it; the orphaned refusal of the called service explains the 500.")

trace(
    "lost-server-span-store-was-sealed",
    gw.serve("POST /v5/mail", 503, gw.call(rides.serve("POST /mail", 503, rides.fetch("GET https://vault.internal:8200/v1/secret/data/mail", 503, mark="vault"), lost=True))),
    outcome="error", layer="external_service", service="rides", where="vault", findings=["orphan_spans"], confidence=["medium", "low"],
    why="Rules 7 and 12: the deepest span that carries the failure is an orphan of the called service; a gap on the path is never high.")

trace(
    "lost-consumer-span-its-check-remains",
    gw.serve("POST /v5/notices", 202, ok(), gw.call(tents.serve("POST /notices", 202, tents.publish("kafka", "notices", scope=f"{JS}-kafkajs#0.18.0", mark="sent")))),
    rides.consume("kafka", "notices", rides.check(False, "guest has left", mark="refusal"), links=["sent"], at=700.0, lost=True),
    outcome=["partially_denied", "allowed", "inconclusive"], findings=["orphan_spans"], confidence=["medium", "low"],
    why="Rule 7: a trace with an orphaned denial is not `allowed` with high confidence.",
    doubt="whether the orphaned check is taken for the message's")

# ---------------------------------------------------------------------------------------- branches inside a handler's span
trace(
    "bulk-inside-a-handler-span",
    gw.serve("POST /v5/release", 207, ok(), gw.call(tents.serve("POST /release", 207, tents.span("release handler", *(
        tents.span(f"release {i}", tents.check(i != 1, "" if i != 1 else "deposit missing", mark=f"check{i}"),
                   *([tents.query("UPDATE tents SET state = 'free' WHERE id = $1", table="tents")] if i != 1 else [])) for i in range(4)))))),
    outcome="partially_denied", layer="application", service="tents", where="check1", no_findings=["side_effect_after_denial", "side_effect_before_denial", "fail_open"],
    why="Findings: writes of other branches are not of the refused one, whatever span holds them all.")

trace(
    "bulk-item-without-a-check-of-its-own",
    gw.serve("POST /v5/release", 207, ok(), gw.call(tents.serve("POST /release", 207, *(
        tents.span(f"release {i}", *([] if i == 2 else [tents.check(i != 1, "" if i != 1 else "deposit missing", mark=f"check{i}")]),
                   *([tents.query("UPDATE tents SET state = 'free' WHERE id = $1", table="tents")] if i != 1 else [])) for i in range(4))))),
    outcome="partially_denied", layer="application", service="tents", where="check1", no_findings=["side_effect_after_denial", "fail_open"],
    why="Findings: item 2 was written without a visible check, but the check of item 1 did not guard it.")

trace(
    "parallel-branches-inside-a-handler-span",
    gw.serve("GET /v5/board", 200, ok(), gw.call(tents.serve("GET /board", 200, tents.span(
        "compose board", tents.call(rides.serve("GET /queue", 403, rides.check(False, "staff only", mark="refusal"))),
        tents.call(stalls.serve("POST /visits", 201, stalls.query("INSERT INTO visits (n) VALUES ($1)", table="visits"))))))),
    outcome="partially_denied", layer="application", service="rides", where="refusal", no_findings=["side_effect_after_denial", "fail_open"],
    why="Findings: the write is in another branch, which that check did not guard.")

# ---------------------------------------------------------------------------------------- a secured request may still refuse
trace(
    "spring-method-denied-error-page-after",
    spring(payroll, "POST /slips/run", 403, filters(payroll, authorize(payroll, True, "AuthorizationDecision [granted=true]")),
           payroll.span("secured request", authorize(payroll, False, "ExpressionAuthorizationDecision [granted=false, expressionAttribute=hasAuthority('slips:run')]",
                                                     on="method", mark="refusal"), scope="org.springframework.boot"),
           payroll.span("render error view", scope="org.springframework.boot")),
    outcome="denied", layer="application", phase="authz", service="payroll-office", where="refusal", reason="slips:run", confidence=["high"],
    why="Rule 12: the method's check is the later one; `secured request` says that the filters let it pass, not what follows inside.")

trace(
    "spring-method-denied-behind-200",
    spring(payroll, "GET /slips/{id}", 200, filters(payroll, authorize(payroll, True, "AuthorizationDecision [granted=true]")),
           payroll.span("secured request", authorize(payroll, False, "AuthorizationDecision [granted=false]", on="method", mark="refusal"), scope="org.springframework.boot")),
    outcome="denied", layer="application", service="payroll-office", where="refusal", findings=["masked_denial"], entry_status=200,
    why="Catalogue §4.8: a decisive deny and no business call after it: reported as 200.")

# ---------------------------------------------------------------------------------------- a guard that let it pass
trace(
    "guard-passed-then-opa-then-403",
    tents.serve("GET /tents", 403, *middlewares(tents, "query", "authorize"), tents.fetch("POST http://opa:8181/v1/data/fair/allow", 200, mark="ask")),
    outcome="denied", layer="policy_engine", phase="authz", service="tents", where="ask", confidence=["medium"],
    why="Rule 6: the guard's span had ended before OPA was asked, so OPA's answer is the last before the refusal.")

trace(
    "guard-passed-then-callee-then-403",
    tents.serve("GET /tents", 403, *middlewares(tents, "query", "authorize"), tents.call(stalls.serve("GET /stalls", 200))),
    outcome="inconclusive", layer=None, span_id=None,
    why="Rule 6: a guard is the deciding span only as the last before its refusal; a callee answered 2xx after it.")

trace(
    "guard-passed-then-key-service-broke",
    tents.serve("GET /tents", 401, *middlewares(tents, "query", "verifyToken"), tents.fetch(
        "GET https://login.fair.example/.well-known/jwks.json", None, error="ETIMEDOUT", mark="keys", lasts=3000)),
    outcome="error", layer="identity_provider", service="tents", where="keys", findings=["fail_closed"],
    why="Rule 5: a timeout of the identity provider outranks the name of a middleware.")

# ---------------------------------------------------------------------------------------- clocks and links
trace(
    "linked-consumer-with-a-slow-clock",
    gw.serve("POST /v5/notices", 202, ok(), gw.call(tents.serve("POST /notices", 202, tents.publish("kafka", "notices", scope=f"{JS}-kafkajs#0.18.0", mark="sent")))),
    (post := Service("post-office", "node", clock=-30_000.0)).consume(
        "kafka", "notices", post.check(False, "recipient has moved", mark="refusal"), scope=f"{JS}-kafkajs#0.18.0", links=["sent"], at=700.0),
    outcome="partially_denied", layer="application", service="post-office", where="refusal", entry_status=202, no_findings=["side_effect_after_denial", "broken_propagation"],
    why="Rule 10: causality by links before clocks; the consumer's clock is half a minute behind.")

trace(
    "policy-quotes-is-a-business",
    gw.serve("GET /v5/quotes/{id}", 403, ok(), gw.call((quotes := Service("policy-quotes", "aspnet")).serve("GET /quotes/{id}", 403, mark="leaf"))),
    outcome="denied", layer="application", service="policy-quotes", where="leaf", confidence=["medium"], findings=["relayed_by"],
    why="Who is named: it was asked for a quote and returned no verdict; the structure shows its role before its name does.")

# ---------------------------------------------------------------------------------------- changes in other spellings
trace(
    "write-behind-a-comment",
    gw.serve("POST /v5/tents", 403, ok(), gw.call(rides.serve("POST /tents", 403, rides.span(
        "UPDATE", kind="client", attrs={"db.system": "postgresql", "db.name": "fair", "db.statement": "/* route=/tents */ UPDATE tents SET free = false WHERE id = $1"},
        scope="opentelemetry.instrumentation.psycopg2"), rides.check(False, "tent is reserved", mark="refusal")))),
    outcome="denied", layer="application", service="rides", where="refusal", findings=["side_effect_before_denial"], side_effects=[["db_write", "before_denial"]],
    why="Interface: a data write is one whatever comment precedes its first word.")

trace(
    "write-behind-a-line-comment-without-operation",
    gw.serve("POST /v5/tents", 403, ok(), gw.call(rides.serve("POST /tents", 403, rides.span(
        "query", kind="client", attrs={"db.system.name": "postgresql", "db.namespace": "fair", "db.query.text": "-- tents.sql:12\nINSERT INTO tents (id) VALUES ($1)"}),
        rides.check(False, "tent is reserved", mark="refusal")))),
    outcome="denied", layer="application", service="rides", where="refusal", findings=["side_effect_before_denial"], side_effects=[["db_write", "before_denial"]],
    why="Interface: a data write is one whatever comment precedes its first word.")

trace(
    "mail-by-smtp-before-denial",
    gw.serve("POST /v5/invites", 403, ok(), gw.call(rides.serve("POST /invites", 403, rides.span(
        "smtp.send", kind="client", scope="rides.mail", attrs={"server.address": "smtp.fair.example", "server.port": 587}),
        rides.check(False, "guest list is closed", mark="refusal")))),
    outcome="denied", layer="application", service="rides", where="refusal", findings=["side_effect_before_denial"], side_effects=[["mail", "before_denial"]],
    why="Catalogue §5: mail is always a write, and the least reversible.")
