"""Harder traces: names that mislead, texts that lie, tolerated refusals, odd encodings, and what counts as a change."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Host, Span, exception, trace
from instruments import JS, PY, Service, aws_js, boto, envoy, fga, fga_walk, kong, resolver

gw = Service("city-gateway", "go")
plans = Service("plans", "java")
maps = Service("maps", "fastapi")
parks = Service("parks", "undici")
ledger = Service("ledger", "gin", old=True)
opa = Service("opa", "go", port=8181)
front = Host("front-envoy")


def ok(subject: str = "res-1", **kw: object) -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject}, **kw)


# ---------------------------------------------------------------------------------------- names that mislead
trace(
    "payment-gateway-is-no-gateway",
    gw.serve("POST /v4/fines/{id}/pay", 403, ok(), gw.call((pg := Service("payment-gateway", "java")).serve("POST /payments", 403, pg.check(
        False, "payer is under sanctions", mark="refusal")))),
    outcome="denied", layer="application", service="payment-gateway", where="refusal", reason="sanctions", findings=["relayed_by"], confidence=["high"],
    why="Who is named: the structure shows its role before its name does: it is neither the entry nor does it forward.")

trace(
    "service-called-policies-checks-itself",
    gw.serve("GET /v4/policies/{id}", 403, ok(), gw.call((pol := Service("policies", "aspnet")).serve("GET /policies/{id}", 403, pol.query(
        "SELECT holder FROM policies WHERE id = @p0", table="policies"), pol.check(False, "not the policy holder", mark="refusal")))),
    outcome="denied", layer="application", service="policies", where="refusal", enforced_by="policies", findings=["relayed_by"], confidence=["high"],
    why="Who is named: it was asked for a document, not for a decision about a third party's action.")

trace(
    "service-called-identity-theft-reports",
    gw.serve("GET /v4/identity-theft/{id}", 403, ok(), gw.call((idt := Service("identity-theft-reports", "java")).serve("GET /reports/{id}", 403, idt.check(
        False, "report is assigned to another officer", mark="refusal")))),
    outcome="denied", layer="application", service="identity-theft-reports", where="refusal", findings=["relayed_by"],
    why="Who is named: it neither issues nor verifies logins for others.")

trace(
    "no-service-has-a-name",
    (a := Service("unknown_service:node", "node")).serve("GET /a", 403, a.token(True), a.fetch("GET http://b:8080/b", 403, (
        b := Service("unknown_service:java", "java")).serve("GET /b", 403, b.check(False, "role missing", mark="refusal")))),
    outcome="denied", layer="application", service="unknown_service:java", where="refusal", reason="role missing", confidence=["high"], findings=["relayed_by"],
    why="Rule 2; a missing name changes nothing about who decided.")

trace(
    "kong-behind-envoy",
    envoy(front, 401, kong(Host("kong-zone"), 401, "key-auth", request="GET /x"), to="kong", url="http://city.example/x"),
    outcome="denied", layer="api_gateway", phase="authn", service="kong-zone", where="plugin", findings=["relayed_by"], confidence=["medium"],
    why="Rules 2 and 6: Envoy relays; Kong's key-auth is the last named guard before its refusal.")

trace(
    "both-sidecars-and-the-application",
    gw.serve("GET /v4/trees", 403, gw.fetch("GET http://parks.prod:8080/trees", 403, envoy(
        Host("city-gateway.prod"), 403, envoy(
            Host("parks.prod"), 403, parks.serve("GET /trees", 403, parks.check(False, "gardeners only", mark="refusal")),
            role="sidecar", to="inbound|8080||", url="http://parks.prod:8080/trees"),
        kind="client", role="sidecar", to="outbound|8080||parks.prod.svc.cluster.local", url="http://parks.prod:8080/trees"))),
    outcome="denied", layer="application", phase="authz", service="parks", where="refusal", reason="gardeners", findings=["relayed_by"], confidence=["high"],
    why="Rule 2: both sidecars and the gateway pass on what the application decided.")

# ---------------------------------------------------------------------------------------- texts that lie
trace(
    "rbac-words-in-the-url-of-a-good-request",
    envoy(front, 200, maps.serve("GET /tiles/{z}", 200, path="/tiles/7?q=rbac_access_denied_matched_policy[none]"),
          url="http://city.example/tiles/7?q=rbac_access_denied_matched_policy[none]", to="maps"),
    outcome="no_auth_evidence", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
    why="Rule 11: a client writes what it likes into a URL; nothing in the trace speaks of authorization.")

trace(
    "jwt-words-in-the-agent-of-a-refused-request",
    gw.serve("GET /v4/trees", 403, ok(), gw.call(parks.serve("GET /trees", 403, parks.check(False, "gardeners only", mark="refusal"))),
             agent="jwt_authn_access_denied{Jwt_is_expired} LDAPInvalidCredentialsResult ORA-01031"),
    outcome="denied", layer="application", phase="authz", service="parks", where="refusal", reason="gardeners", confidence=["high"],
    why="Rule 11: the agent string is the client's.")

trace(
    "sql-text-quotes-an-error",
    gw.serve("GET /v4/faq", 200, gw.call(maps.serve("GET /faq", 200, maps.query("SELECT body FROM faq WHERE title = 'permission denied for table users'", table="faq")))),
    outcome="no_auth_evidence", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
    why="Rule 11: a statement's text is no error; it succeeded.")

trace(
    "session-timed-out-is-a-denial",
    gw.serve("GET /v4/account", 401, gw.token(False, "session timed out due to inactivity", mark="refusal", attrs={"auth.token_type": "session"})),
    outcome="denied", layer=["api_gateway", "application"], phase="authn", service="city-gateway", where="refusal", reason="timed out", no_findings=["fail_closed"],
    confidence=["high"],
    why="Rules 4 and 5: the check answered and said no; the word in its reason is no broken dependency.")

trace(
    "connection-from-abroad-forbidden",
    gw.serve("GET /v4/votes", 403, gw.call((votes := Service("votes", "quarkus")).serve("GET /votes", 403, votes.check(
        False, "connection from this country refused by policy", mark="refusal")))),
    outcome="denied", layer="application", phase="authz", service="votes", where="refusal", no_findings=["fail_closed"],
    why="Rule 4: an explicit decision outranks words in a message.")

trace(
    "check-fails-because-engine-is-down",
    gw.serve("GET /v4/permits", 403, ok(), gw.call(maps.serve("GET /permits", 403, maps.check(False, "authorization service unavailable", maps.fetch(
        "POST http://opa:8181/v1/data/city/permits", None, error="ReadTimeout", lasts=2000, mark="ask", events=[exception("httpx.ReadTimeout", "timed out")])))),),
    outcome="error", layer="policy_engine", service="maps", where="ask", entry_status=403, findings=["fail_closed"], no_findings=["fail_open"],
    why="Rule 5: a timeout of the policy engine is an error even where the caller turned it into a failure of its own check.")

trace(
    "two-attributes-disagree",
    gw.serve("PUT /v4/parks/{id}", 403, gw.call(parks.serve("PUT /parks/:id", 403, parks.check(
        False, "park is closed", mark="refusal", attrs={"authz.decision": "allow"})))),
    outcome="denied", layer="application", service="parks", where="refusal", confidence=["medium", "low"],
    why="Rule 4: where they disagree, lower the confidence; the 403 agrees with the denial.")

trace(
    "plan-expired-is-authorization",
    gw.serve("GET /v4/live", 403, ok(), gw.call(parks.serve("GET /live", 403, parks.check(False, "subscription expired on 2026-09-30", mark="refusal")))),
    outcome="denied", layer="application", phase="authz", service="parks", where="refusal", reason="subscription expired",
    why="Rule 13 asks for the reason's meaning: a subscription is no credential.")

# ---------------------------------------------------------------------------------------- tolerated refusals
trace(
    "optional-table-refused",
    gw.serve("GET /v4/districts", 200, ok(), gw.call(maps.serve("GET /districts", 200, maps.query("SELECT * FROM districts", table="districts"), maps.query(
        "SELECT * FROM census", table="census", status="error", mark="sql", events=[exception("asyncpg.exceptions.InsufficientPrivilegeError", "permission denied for table census")])))),
    outcome="partially_denied", layer="database", phase="authz", service="maps", where="sql", entry_status=200, no_findings=["fail_open", "status_rewritten"],
    why="Outcomes: an optional part was refused and the request as a whole went on.")

trace(
    "event-not-published-request-accepted",
    gw.serve("POST /v4/reports", 201, ok(), gw.call(parks.serve("POST /reports", 201, parks.query("INSERT INTO reports (id) VALUES ($1)", table="reports"), parks.publish(
        "kafka", "reports", scope=f"{JS}-kafkajs#0.18.0", status="error", mark="send", message="Not authorized to access topics: [Topic authorization failed]")))),
    outcome="partially_denied", layer="message_broker", phase="authz", service="parks", where="send", entry_status=201,
    no_findings=["fail_open"],
    why="Outcomes: one part was refused by the broker; the request went on.")

trace(
    "throttled-once-then-served",
    gw.serve("GET /v4/geo", 200, ok(), gw.call(maps.serve("GET /geo", 200, maps.call((tiles := Service("tiles", "go")).serve("GET /tile", 429)),
                                                          maps.call(tiles.serve("GET /tile", 200), attrs={"http.request.resend_count": 1})))),
    outcome="allowed", layer=None, findings=["retried"], no_findings=["fail_open", "status_rewritten"],
    why="Rule 3: a denied attempt that was retried and then allowed.")

trace(
    "third-party-throttles",
    gw.serve("GET /v4/repos", 503, ok(), gw.call(maps.serve("GET /repos", 503, maps.fetch("GET https://api.github.example/repos", 429, mark="call")))),
    outcome="denied", layer="rate_limiter", service="maps", where="call", entry_status=503, findings=["uninstrumented_peer"], confidence=["medium", "low"],
    why="Layers: 429 is throttling, wherever it sits; rule 7: the peer sends no spans.")

trace(
    "third-party-is-down",
    gw.serve("GET /v4/repos", 502, ok(), gw.call(maps.serve("GET /repos", 502, maps.fetch("GET https://api.github.example/repos", 503, mark="call")))),
    outcome="error", layer="external_service", service="maps", where="call", entry_status=502, no_findings=["fail_closed", "fail_open"],
    why="Rule 5: an error is no denial.")

trace(
    "first-replica-dead-second-refuses",
    gw.serve("GET /v4/trees", 403, gw.fetch("GET http://parks-a:8080/trees", None, error="ECONNREFUSED"), gw.call(parks.serve("GET /trees", 403, parks.check(
        False, "gardeners only", mark="refusal")))),
    outcome="denied", layer="application", service="parks", where="refusal", findings=["relayed_by"], no_findings=["fail_closed", "uninstrumented_peer"],
    why="Rule 12: of several attempts at one thing the last; the first never connected.")

trace(
    "inner-401-becomes-login-redirect",
    (site := Service("city-site", "rails", old=True)).serve("GET /account", 302, site.call(parks.serve("GET /me", 401, parks.token(False, "token revoked", mark="refusal"))),
                                                            attrs={"http.response.header.location": ["https://city.example/login?return=/account"]}),
    outcome="denied", layer="application", phase="authn", service="parks", where="refusal", reason="revoked", findings=["masked_denial"], entry_status=302,
    why="Outcomes: denied also where a redirect to a login page masks what an inner hop refused.")

trace(
    "inner-403-becomes-404",
    gw.serve("GET /v4/cases/{id}", 404, ok(), gw.call((cases := Service("cases", "java")).serve("GET /cases/{id}", 403, cases.check(False, "sealed by court", mark="refusal")))),
    outcome="denied", layer="application", service="cases", where="refusal", reason="sealed", findings=["masked_denial"], entry_status=404,
    why="Outcomes: the gateway hides the refusal behind a 404.")

trace(
    "consumer-calls-service-that-refuses",
    (job := Service("tax-worker", "fastapi")).consume("kafka", "tax.due", job.call(ledger.serve("POST /debits", 403, ledger.check(
        False, "account is garnished", mark="refusal", attrs={"auth.subject": "acct-3"}))), status="error", scope=f"{PY}.aiokafka#0.60b1"),
    outcome="denied", layer="application", service="ledger", where="refusal", reason="garnished", principal="acct-3", confidence=["high"],
    why="Outcomes: a trace whose entry is a CONSUMER is denied where its work was refused, here two hops on.")

trace(
    "batch-consumer-refuses-one-of-three",
    job.consume("kafka", "tax.due", *(job.span(f"item {i}", job.check(i != 1, "" if i != 1 else "taxpayer deceased", mark=f"check{i}"),
                                               *([] if i == 1 else [job.query("INSERT INTO debits (id) VALUES ($1)", table="debits")])) for i in range(3)),
                scope=f"{PY}.aiokafka#0.60b1", links=[(f"{i:032x}", f"{i:016x}") for i in (11, 12, 13)]),
    outcome=["partially_denied", "denied"], layer="application", service="tax-worker", where="check1", reason="deceased", no_findings=["side_effect_after_denial", "fail_open"],
    why="Outcomes: acting in bulk with some items refused; a CONSUMER's trace has no client.",
    doubt="the sentence on CONSUMER traces says denied, that on bulk says partially_denied")

trace(
    "two-server-spans-under-one-call",
    gw.serve("GET /v4/trees", 403, gw.fetch("GET http://parks:8080/trees", 403, parks.serve("GET /trees", 503), parks.serve("GET /trees", 403, parks.check(
        False, "gardeners only", mark="refusal")))),
    outcome="denied", layer="application", service="parks", where="refusal", no_findings=["fail_closed"],
    why="Catalogue §6: two SERVER children under one CLIENT span: a retry; judge the last one.")

# ---------------------------------------------------------------------------------------- engines and providers again
trace(
    "provider-introspects-and-says-so",
    gw.serve("GET /v4/me", 401, gw.call((idp := Service("city-id", "java", port=9000)).serve("POST /oauth2/introspect", 200, idp.token(False, "token was revoked at logout", mark="refusal")))),
    outcome="denied", layer="identity_provider", phase="authn", service="city-id", where="refusal", reason="revoked", enforced_by="city-gateway",
    no_findings=["relayed_by", "masked_denial"], confidence=["high"],
    why="Rule 2: the provider's explicit check under a 200 is the decision; who asked enforces.")

trace(
    "two-questions-to-opa-the-second-decides",
    gw.serve("POST /v4/permits", 403, gw.call(maps.serve(
        "POST /permits", 403, maps.call(opa.serve("POST /v1/data/{path...}", 200, path="/v1/data/city/authn", attrs={"opa.decision_id": "a"})),
        maps.call(opa.serve("POST /v1/data/{path...}", 200, path="/v1/data/city/permits/allow", attrs={"opa.decision_id": "b"}, mark="second"))))),
    outcome="denied", layer="policy_engine", phase="authz", service="opa", where="second", enforced_by="maps", confidence=["medium"],
    why="Rules 6 and 12: the answer after which nothing else was asked is the denial.")

trace(
    "opa-compile-for-a-list",
    gw.serve("GET /v4/permits", 200, ok(), gw.call(maps.serve("GET /permits", 200, maps.call(opa.serve("POST /v1/compile", 200)), maps.query("SELECT * FROM permits WHERE owner = $1", table="permits")))),
    outcome="allowed", layer=None, no_findings=["fail_open"],
    why="Rule 8: asking what is permitted in bulk.")

trace(
    "ldap-refuses-inside-login",
    gw.serve("POST /v4/login", 401, gw.call((idp2 := Service("staff-login", "fastapi")).serve("POST /login", 401, idp2.login(False, "invalid credentials", idp2.span(
        "ldap.bind", kind="client", scope="staff-login.ldap", status="error", mark="bind", attrs={"server.address": "ldap"},
        events=[exception("ldap3.core.exceptions.LDAPInvalidCredentialsResult", "LDAPInvalidCredentialsResult - 49 - invalidCredentials")]), mark="login",
        attrs={"auth.method": "ldap", "auth.username": "k.lund"})))),
    outcome="denied", layer="identity_provider", phase="authn", service="staff-login", where=("bind", "login"), principal="k.lund", confidence=["high"],
    why="Rule 2: the directory's refusal explains the login's; both spans are the login service's.")

trace(
    "vault-login-fails",
    gw.serve("POST /v4/sign", 500, gw.call(ledger.serve("POST /sign", 500, ledger.fetch("POST http://vault:8200/v1/auth/approle/login", 400, mark="vault")))),
    outcome="denied", layer="external_service", phase="authn", service="ledger", where="vault",
    why="Catalogue H: 400 on a Vault login is a failed login.")

trace(
    "kubernetes-unauthorized",
    (op := Service("dns-operator", "go")).serve("POST /reconcile", 500, op.fetch("GET https://kubernetes.default.svc/api/v1/namespaces/prod/services", 401, mark="k8s")),
    outcome="denied", layer="external_service", phase="authn", service="dns-operator", where="k8s", findings=["status_rewritten"],
    why="Catalogue H: the Kubernetes API refused the operator's credential.")

trace(
    "grpc-refusal-through-envoy-with-http-200",
    envoy(front, 200, (tram := Service("tram", "go")).answer("tram.v1.Tram/Stop", "UNAUTHENTICATED", text="no token", mark="leaf"), to="tram", method="POST",
          url="http://city.example/tram.v1.Tram/Stop", attrs={"grpc.status_code": "16", "grpc.message": "no token", "http.protocol": "HTTP/2"}),
    outcome="denied", layer="application", phase="authn", service="tram", where="leaf", findings=["relayed_by"],
    why="Catalogue §4.9: gRPC status wins over HTTP 200; the callee's own span refused, Envoy relays.")

trace(
    "graphql-subgraph-refuses-everything",
    gw.serve("POST /graphql", 200, ok(), gw.call((sub := Service("subgraph-parks", "node")).serve("POST /graphql", 200, sub.span(
        "graphql.execute", resolver(sub, "budget", fault="You are not authorized to view budgets", mark="field"), scope=f"{JS}-graphql#0.56.0",
        attrs={"graphql.operation.type": "query"})))),
    outcome="denied", layer="application", phase="authz", service="subgraph-parks", where="field", findings=["masked_denial"], entry_status=200,
    why="Rule 14: the only field was refused, so the operation was refused as a whole.")

trace(
    "openfga-false-behind-two-hops",
    gw.serve("PUT /v4/benches/{id}", 403, ok("res-9"), gw.call(parks.serve("PUT /benches/:id", 403, parks.call(plans.serve("PUT /plans/{id}", 403, plans.ask(
        (fga_svc := Service("openfga", "go", port=8081)).answer("openfga.v1.OpenFGAService/Check", "OK", fga(
            fga_svc, "Check", fga_walk(fga_svc, False), mark="check", allowed=False, user="user:res-9", relation="planner", object="plan:4711")))))))),
    outcome="denied", layer="policy_engine", phase="authz", service="openfga", where="check", enforced_by="plans", findings=["relayed_by"], confidence=["high"], principal="res-9",
    why="Rule 2 and findings: plans asked and enforces; parks and the gateway relay.")

# ---------------------------------------------------------------------------------------- odd encodings
trace(
    "status-codes-as-text",
    gw.serve("GET /v4/odd", 403, gw.call(parks.serve("GET /odd", 403, mark="leaf", attrs={"http.response.status_code": "403"}), attrs={"http.response.status_code": "403"}),
             attrs={"http.response.status_code": "403"}),
    outcome="denied", layer="application", service="parks", where="leaf", confidence=["medium"], findings=["relayed_by"], entry_status=403,
    why="Catalogue §2: compare as text; several producers send numbers as strings.")

trace(
    "decision-as-bool-and-in-capitals",
    gw.serve("POST /v4/odd", 403, gw.call(plans.serve("POST /odd", 403, plans.span("decide", scope="plans", mark="refusal", attrs={"AUTHZ": "x", "authz.decision": "Deny", "authz.reason": "weekend"})))),
    outcome="denied", layer="application", service="plans", where="refusal", reason="weekend",
    why="Catalogue A: `authz.decision` in any case of letters.")

trace(
    "empty-names-and-no-scope",
    gw.serve("GET", 403, path="/", name="", scope="", mark="leaf"),
    outcome="denied", service="city-gateway", where="leaf", confidence=["medium"], entry_status=403,
    why="Rule 6: the only hop answered 403 and called nobody.")

# ---------------------------------------------------------------------------------------- principals
trace(
    "database-user-is-no-principal",
    gw.serve("GET /v4/wages", 500, ok("res-12"), gw.call(plans.serve("GET /wages", 500, plans.query(
        "SELECT * FROM wages", table="wages", status="error", mark="sql", attrs={"db.user": "plans_ro", "db.response.status_code": "42501"},
        events=[exception("org.postgresql.util.PSQLException", "ERROR: permission denied for table wages")])))),
    outcome="denied", layer="database", service="plans", where="sql", principal="res-12", confidence=["high"], findings=["status_rewritten"],
    why="Catalogue G: the database's role is the service's, not the end user.")

# ---------------------------------------------------------------------------------------- what counts as a change
trace(
    "reads-that-look-like-writes-before-a-denial",
    gw.serve("POST /v4/search", 403, ok(), gw.call(maps.serve(
        "POST /search", 403, maps.span("search places", kind="client", scope=f"{PY}.elasticsearch", attrs={
            "db.system": "elasticsearch", "db.operation": "search", "http.method": "POST", "url.full": "http://es:9200/places/_search"}),
        maps.fetch("POST https://login.city.example/oauth2/token", 200), maps.query("SELECT * FROM places FOR UPDATE", table="places"),
        maps.ask_alone("flags.v1.Flags/ListFlags", "OK", host="flags"), maps.check(False, "area is restricted", mark="refusal")))),
    outcome="denied", layer="application", service="maps", where="refusal", reason="restricted", no_findings=["side_effect_before_denial", "side_effect_after_denial"],
    why="Catalogue §5: searches, token requests, SELECT and List are reads.")

trace(
    "writes-that-look-like-reads-before-a-denial",
    gw.serve("POST /v4/plots", 403, ok(), gw.call(maps.serve(
        "POST /plots", 403, maps.query("WITH moved AS (DELETE FROM plots RETURNING *) SELECT count(*) FROM moved", table="plots"), maps.check(False, "plot is mortgaged", mark="refusal")))),
    outcome="denied", layer="application", service="maps", where="refusal", findings=["side_effect_before_denial"], side_effects=[["db_write", "before_denial"]],
    why="Catalogue §5: WITH ... DML is a write.")

trace(
    "cloud-changes-of-every-kind",
    gw.serve("POST /v4/permits", 201, ok("res-13"), gw.call((cloud := Service("permit-office", "fastapi")).serve(
        "POST /permits", 201, boto(cloud, "DynamoDB", "PutItem", 200), boto(cloud, "S3", "DeleteObject", 204),
        boto(cloud, "SQS", "SendMessage", 200, attrs={"messaging.system": "aws_sqs", "messaging.url": "https://sqs.example/q"}),
        boto(cloud, "SES", "SendEmail", 200), boto(cloud, "S3", "GetObject", 200)))),
    outcome="allowed", layer=None, principal="res-13",
    side_effects=[["db_write", "no_denial"], ["object_write", "no_denial"], ["message", "no_denial"], ["mail", "no_denial"]], no_findings=["uninstrumented_peer"],
    why="Interface: kinds of side effects; cloud SDK calls are no missing hops.")

trace(
    "mongo-and-search-index-written",
    gw.serve("POST /v4/comments", 201, ok("res-14"), gw.call(parks.serve(
        "POST /comments", 201, parks.span("mongodb.insert", kind="client", scope=f"{JS}-mongodb#0.61.0", attrs={
            "db.system": "mongodb", "db.name": "parks", "db.operation": "insert", "db.mongodb.collection": "comments"}),
        parks.span("elasticsearch.index", kind="client", scope=f"{JS}-elasticsearch", attrs={
            "db.system": "elasticsearch", "db.operation": "index", "http.method": "PUT", "url.full": "http://es:9200/comments/_doc/1"})))),
    outcome="allowed", layer=None, side_effects=[["db_write", "no_denial"]], no_findings=["uninstrumented_peer", "missing_hop"],
    why="Interface: stores of any kind are database writes.")

trace(
    "audit-in-search-index-after-denial",
    gw.serve("GET /v4/files", 403, ok(), gw.call(parks.serve("GET /files", 403, parks.check(False, "file is confidential", mark="refusal"), parks.span(
        "elasticsearch.index", kind="client", scope=f"{JS}-elasticsearch", attrs={
            "db.system": "elasticsearch", "db.operation": "index", "db.collection.name": "audit-2026.10", "http.method": "POST", "url.full": "http://es:9200/audit-2026.10/_doc"})))),
    outcome="denied", layer="application", service="parks", where="refusal", side_effects=[["audit", "after_denial"]], no_findings=["side_effect_after_denial", "fail_open"],
    why="Interface: a record of the refusal itself is `audit`, whichever store keeps it.")

trace(
    "parallel-branch-writes-after-the-others-denial",
    gw.serve("GET /v4/board", 200, ok(), gw.call(parks.serve(
        "GET /board", 200, parks.call(maps.serve("GET /heat", 403, maps.check(False, "heat map is licensed", mark="refusal"), lasts=4.0), beside=True),
        parks.call(plans.serve("POST /visits", 201, plans.query("INSERT INTO visits (n) VALUES (?)", table="visits"), at=30.0), beside=True)))),
    outcome="partially_denied", layer="application", service="maps", where="refusal", no_findings=["side_effect_after_denial", "fail_open"],
    why="Findings: the write is in another branch, which that check did not guard.")

trace(
    "payment-before-denial-is-not-rolled-back-by-another-transaction",
    gw.serve("POST /v4/tickets", 403, ok(), gw.call(plans.serve(
        "POST /tickets", 403, plans.fetch("POST https://api.stripe.com/v1/payment_intents", 200),
        plans.call(maps.serve("POST /seats", 403, maps.query("BEGIN"), maps.check(False, "seat block is reserved", mark="refusal"), maps.query("ROLLBACK")))))),
    outcome="denied", layer="application", service="maps", where="refusal", findings=["side_effect_before_denial"], side_effects=[["http_write", "before_denial"]],
    why="Findings: a ROLLBACK in another service takes no payment back.")

trace(
    "sqs-consumer-refuses-in-javascript",
    (q := Service("queue-worker", "node")).consume("aws_sqs", "permits", aws_js(q, "DynamoDB", "GetItem", 400, "AccessDeniedException", "not authorized to perform: dynamodb:GetItem", mark="aws"),
                                                   scope=f"{JS}-aws-sdk#0.64.0", status="error"),
    outcome="denied", layer="external_service", phase="authz", service="queue-worker", where="aws", confidence=["high"],
    why="Outcomes: a CONSUMER's work was refused, by a cloud API with a typed class.")
