"""What was not refused, what broke, what nobody can know, and damage on the way."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Span, exception, trace
from instruments import GO, JS, PY, Service, aws_js
from systems import invoked, tracing_event

door = Service("farm-gateway", "node")
herd = Service("herd", "axum")
milk = Service("milk-ledger", "micronaut")
feed = Service("feed-planner", "flask")
vet = Service("vet-records", "rails")
iot = Service("barn-sensors", "lambda-js")
sdb = Service("spicedb", "go", old=True, port=50051)
authz = Service("grants", "aspnet")


def ok(subject: str = "farmer-3") -> Span:
    return door.token(True, attrs={"auth.subject": subject, "auth.token_type": "jwt"})


# ---------------------------------------------------------------------------------------- allowed
trace(
    "grant-service-says-yes",
    door.serve("GET /cows/:id", 200, ok(), door.call(herd.serve("GET /cows/{id}", 200, herd.span("authorize", attrs={"authz.decision": "allow", "authz.policy": "herd-members"}, scope="herd"), herd.query("SELECT * FROM cows WHERE id = $1", table="cows")))),
    outcome="allowed", layer=None, span_id=None, confidence=["high"], principal="farmer-3", layers=[["api_gateway", "allow"], ["application", "allow"]],
    why="Explicit allows on a whole path.")

trace(
    "spicedb-asked-and-the-page-is-shown",
    door.serve("GET /cows/:id", 200, door.call(herd.serve("GET /cows/{id}", 200, herd.ask(sdb.answer("authzed.api.v1.PermissionsService/CheckPermission", "OK")), herd.query("SELECT * FROM cows WHERE id = $1", table="cows")))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open"],
    why="The client got what it asked for; an engine was asked.")

trace(
    "lookup-resources-filters-the-herd",
    door.serve("GET /cows", 200, ok(), door.call(herd.serve("GET /cows", 200, herd.span("filter by permission", *(herd.check(i % 2 == 0, "" if i % 2 == 0 else "not a member", attrs={"auth.resource": f"cow:{i}"}) for i in range(6)), scope="herd", attrs={"result.visible": 3, "result.hidden": 3})))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
    why="Rule 8: list filtering contains normal denies.")

trace(
    "search-adds-a-permission-filter",
    door.serve("GET /search", 200, ok(), door.call(feed.serve("GET /search", 200, feed.span("build permission filter", attrs={"filter.denied_indices": 3, "filter.allowed_indices": 2}, scope="feed"), Span(
        feed, "Elasticsearch/feeds/_search", "client", (), {"db.system": "elasticsearch", "elasticsearch.method": "POST", "elasticsearch.url": "/feeds/_search", "http.status_code": 200}, f"{PY}.elasticsearch#0.60b1")))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"], confidence=["high", "medium"],
    why="Rule 8: a filter is no refusal of the request.")

trace(
    "ui-asks-what-it-may-show",
    door.serve("POST /permissions/evaluate", 200, ok(), door.call(authz.serve("POST /evaluate", 200, *(authz.span("evaluate", attrs={"authz.decision": d, "authz.action": a}, scope="Grants") for d, a in (("allow", "cow:read"), ("deny", "cow:sell"), ("deny", "cow:move")))))),
    outcome="allowed", layer=None, span_id=None, no_findings=["masked_denial", "fail_open"],
    why="Rule 8: a permission probe; its answers are data.")

trace(
    "dry-run-of-a-new-policy",
    door.serve("POST /cows/:id/move", 200, ok(), door.call(herd.serve("POST /cows/{id}/move", 200, herd.span("authorize", attrs={"authz.decision": "allow"}, scope="herd"), herd.span("authorize (shadow)", attrs={"authz.decision": "deny", "authz.dry_run": True}, scope="herd"),
        herd.query("UPDATE cows SET barn = $1 WHERE id = $2", table="cows")))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 9: dry-run decisions never count.")

trace(
    "guest-reads-a-public-page",
    door.serve("GET /prices", 200, door.span("optionalAuth", attrs={"auth.optional": True, "auth.result": "anonymous"}, scope="farm-gateway.auth"), door.call(milk.serve("GET /prices", 200, milk.query("SELECT * FROM prices", table="prices")))),
    outcome=["allowed", "no_auth_evidence"], layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
    why="Nobody was refused: without a credential the page is shown to a guest.")

trace(
    "limiter-is-down-and-requests-pass",
    door.serve("POST /deliveries", 201, ok(), door.span("rateLimiter", door.span("evalsha", kind="client", scope=f"{JS}-ioredis#0.56.0", status="error", message="connect ECONNREFUSED 10.42.8.2:6379", attrs={"db.system": "redis", "db.statement": "evalsha 7b 1 rl:farmer-3", "net.peer.name": "limits"},
        events=[exception("ECONNREFUSED", "connect ECONNREFUSED 10.42.8.2:6379")]), scope="farm-gateway.limit"), door.call(milk.serve("POST /deliveries", 201, milk.query("INSERT INTO deliveries (id) VALUES (?)", table="deliveries")))),
    outcome="allowed", layer=None, span_id=None, findings=["fail_open"], no_findings=["fail_closed"],
    why="Outcomes: a check that broke and let the request through is allowed with fail_open.")

trace(
    "quota-left-after-a-429-of-the-partner",
    door.serve("GET /weather", 200, ok(), door.call(feed.serve("GET /weather", 200, feed.fetch("GET https://api.meteo.example/v1", 429), feed.fetch("GET https://api.meteo.example/v1", 200, attrs={"http.request.resend_count": 1})))),
    outcome="allowed", layer=None, span_id=None, findings=["retried"], no_findings=["fail_open"],
    why="Rule 3: a throttled attempt that was made again and served.")

trace(
    "out-of-stock-after-checks",
    door.serve("POST /orders", 409, ok(), door.call(milk.serve("POST /orders", 409, milk.check(True, attrs={"auth.subject": "farmer-3"}), milk.query("SELECT litres FROM stock", table="stock")))),
    outcome="allowed", layer=None, span_id=None, entry_status=409, no_findings=["masked_denial"],
    why="An answer of the business after its visible checks passed.")

# ---------------------------------------------------------------------------------------- nothing of the kind
trace(
    "grpc-health-is-asked",
    herd.answer("grpc.health.v1.Health/Check", "OK"),
    outcome="no_auth_evidence", layer=None, span_id=None, confidence=["high"], no_findings=["broken_propagation"],
    why="Nothing speaks of authentication or authorization.")

trace(
    "sensor-readings-are-stored",
    invoked(iot, aws_js(iot, "DynamoDB", "BatchWriteItem", 200), trigger="pubsub"),
    outcome="no_auth_evidence", layer=None, span_id=None, side_effects=[["db_write", "no_denial"]],
    why="A cloud call that succeeded says nothing about permissions.")

trace(
    "feature-flag-is-off",
    door.serve("GET /beta", 200, door.call(feed.serve("GET /beta", 200, events=[Event("feature_flag.evaluation", {"feature_flag.key": "access-new-planner", "feature_flag.result.variant": "denied", "feature_flag.result.value": False, "feature_flag.provider.name": "flagd"})]))),
    outcome="no_auth_evidence", layer=None, span_id=None, no_findings=["masked_denial"],
    why="A flag decides what is shown, not who may.")

trace(
    "page-not-found-at-a-static-server",
    Service("assets", "go").serve("GET /authorize/denied.png", 404, path="/authorize/denied.png"),
    outcome="no_auth_evidence", layer=None, span_id=None,
    why="Words in a path are no evidence; with no visible check a 404 is the business.")

trace(
    "stream-processor-at-work",
    feed.consume("kafka", "milk-yields", feed.query("INSERT INTO yields (cow, litres) VALUES (%s, %s)", table="yields"), feed.publish("kafka", "yields-daily", scope=f"{PY}.confluent_kafka#0.60b1"), scope=f"{PY}.confluent_kafka#0.60b1"),
    outcome="no_auth_evidence", layer=None, span_id=None, side_effects=[["db_write", "no_denial"], ["message", "no_denial"]],
    why="Work without any check.")

trace(
    "business-refusal-without-a-check",
    vet.serve("POST /prescriptions", 422, vet.query("SELECT * FROM drugs WHERE id = $1", table="drugs"), events=[exception("ActiveRecord::RecordInvalid", "Validation failed: Dose is not permitted for calves")]),
    outcome="no_auth_evidence", layer=None, span_id=None, entry_status=422, no_findings=["masked_denial"],
    why="An answer of the business with no visible check; `not permitted` speaks of a dose.")

# ---------------------------------------------------------------------------------------- broken
trace(
    "grant-service-deadline-exceeded",
    door.serve("DELETE /cows/:id", 503, ok(), door.call(herd.serve("DELETE /cows/{id}", 503, herd.ask_alone("grants.v1.Grants/Check", "DEADLINE_EXCEEDED", host="grants", text="context deadline exceeded", mark="ask")))),
    outcome="error", service="herd", where="ask", entry_status=503, layer=["policy_engine", "application"], no_findings=["relayed_by"],
    why="Rule 5: an authorization dependency did not answer.", doubt="only its name says that it decides for others")

trace(
    "grant-service-crashes-and-the-caller-refuses",
    door.serve("DELETE /cows/:id", 403, ok(), door.call(herd.serve("DELETE /cows/{id}", 403, herd.call(authz.serve("POST /check", 500, mark="crash", events=[exception("System.NullReferenceException", "Object reference not set to an instance of an object.")]))))),
    outcome="error", service="grants", where="crash", layer=["policy_engine", "application"], entry_status=403, findings=["fail_closed"],
    why="Rule 5: an error is not a denial; the caller failed closed.")

trace(
    "handler-panics-after-its-checks",
    door.serve("GET /cows/:id/tree", 500, ok(), door.call(herd.serve("GET /cows/{id}/tree", 500, herd.check(True), herd.span("build_tree", scope="herd", status="error", mark="panic", events=[tracing_event("thread 'tokio-runtime-worker' panicked at src/tree.rs:88: index out of bounds", "ERROR", "herd::tree")])))),
    outcome="error", layer="application", service="herd", where="panic", entry_status=500, no_findings=["status_rewritten", "fail_closed"],
    why="The application broke after its checks had passed.")

trace(
    "upstream-does-not-answer",
    door.serve("GET /milk", 504, ok(), door.fetch("GET http://milk-ledger:8080/milk", None, error="TimeoutError", mark="ask")),
    outcome="error", service="farm-gateway", where="ask", entry_status=504, no_findings=["fail_closed"],
    why="A timeout of an upstream; nothing was refused.")

trace(
    "session-table-is-locked",
    vet.serve("GET /records", 500, vet.query("SELECT * FROM sessions WHERE session_id = $1", table="sessions", status="error", mark="sql", message="PG::QueryCanceled: ERROR:  canceling statement due to lock timeout", events=[exception("ActiveRecord::LockWaitTimeout", "PG::QueryCanceled: ERROR:  canceling statement due to lock timeout")])),
    outcome="error", layer="database", service="vet-records", where="sql", entry_status=500,
    why="Where a session store broke, the layer is the store's own.")

# ---------------------------------------------------------------------------------------- nobody can know
trace(
    "callee-answered-well-and-the-entry-said-403",
    door.serve("GET /yields", 403, door.call(milk.serve("GET /yields", 200, milk.query("SELECT * FROM yields", table="yields")))),
    outcome="inconclusive", layer=None, span_id=None, entry_status=403,
    why="Rule 6: a callee that answered 2xx may have said no in its body.")

trace(
    "call-that-never-got-a-status",
    door.serve("GET /records", 401, door.span("GET", kind="client", scope=f"{JS}-undici#0.19.0", attrs={"http.request.method": "GET", "url.full": "http://vet-records:8080/records", "server.address": "vet-records"})),
    outcome="inconclusive", layer=None, span_id=None, entry_status=401,
    why="Rule 6: an unset CLIENT span without a status.")

trace(
    "spans-torn-off-below-the-refusal",
    door.serve("GET /cows/:id", 403, door.call(herd.serve("GET /cows/{id}", 403, herd.span("authorize_cow", herd.query("SELECT * FROM grants WHERE who = $1", table="grants"), lost=True)))),
    outcome="inconclusive", layer=None, span_id=None, entry_status=403, findings=["orphan_spans"],
    why="Rule 6: spans orphaned below the hop hide what they hung from.")

trace(
    "legacy-portal-knows-b3-only",
    door.serve("GET /legacy/feed", 403, ok(), door.call(feed.serve("GET /feed", 200)), door.fetch("GET http://feed-legacy:8080/feed", 403, mark="ask")),
    outcome="denied", layer=["application", "external_service"], phase="authz", service="farm-gateway", where="ask", entry_status=403, confidence=["medium"], findings=["uninstrumented_peer"],
    why="Rule 7: the CLIENT span that got 403 is the peer's denial.", doubt="the peer is in the house and sends no spans")

# ---------------------------------------------------------------------------------------- damage and parts
trace(
    "clock-of-the-refusing-host-is-behind",
    door.serve("POST /cows", 403, ok(), door.call((late := Service("herd-eu", "actix", clock=-95_000.0)).serve("POST /cows", 403, late.query("SELECT * FROM farms WHERE id = $1", table="farms"), late.check(False, "farm is not certified", mark="rule")))),
    outcome="denied", layer="application", phase="authz", service="herd-eu", where="rule", entry_status=403, findings=["clock_skew", "relayed_by"], confidence=["high"],
    why="Rule 10: causality before clocks.")

trace(
    "answer-is-partial-but-the-path-is-whole",
    door.serve("PUT /cows/:id", 403, ok(), door.call(herd.serve("PUT /cows/{id}", 403, herd.check(False, "herd:write is missing", mark="rule")))),
    shape="v2", partial=True,
    outcome="denied", layer="application", phase="authz", service="herd", where="rule", entry_status=403, findings=["truncated_trace"],
    why="Rule 7: missing data is listed.")

trace(
    "one-barn-of-three-refuses",
    door.serve("GET /overview", 200, ok(), door.call(herd.serve("GET /overview", 200)), door.call(feed.serve("GET /overview", 403, feed.check(False, "feed:read is missing", mark="rule")), beside=True), door.call(milk.serve("GET /overview", 200), beside=True)),
    outcome="partially_denied", layer="application", phase="authz", service="feed-planner", where="rule", entry_status=200, no_findings=["fail_open", "side_effect_after_denial"],
    why="Fan-out: a branch was refused and the request as a whole went on.")

trace(
    "nightly-sync-one-farm-refuses",
    feed.span("sync all farms", *(feed.span(f"sync farm {i}", feed.call(Service("herd-remote", "gin").serve("GET /export", 403 if i == 2 else 200, *( [Service("herd-remote", "gin").check(False, "export is switched off by the owner", mark="rule")] if i == 2 else []))), scope="feed") for i in range(4)), scope="feed"),
    outcome="partially_denied", layer="application", phase="authz", service="herd-remote", where="rule", reason="switched off",
    unmended="requests that are alike to the letter, made once for each of many things, look like attempts at one thing; only the names of the spans around them differ",
    why="Acting in bulk with some items refused.")

trace(
    "accepted-then-lambda-refuses",
    door.serve("POST /transfers", 202, ok(), aws_js(door, "SQS", "SendMessage", 200, kind="producer", attrs={"messaging.system": "aws_sqs", "messaging.destination.name": "transfers"}, mark="sent")),
    invoked(iot, iot.check(False, "animal passport is blocked", mark="rule"), trigger="pubsub", status="error", links=["sent"], at=700.0),
    outcome="partially_denied", layer="application", phase="authz", service="barn-sensors", where="rule", entry_status=202, reason="passport",
    why="Work accepted (202) that a consumer later refused; the verdict names the consumer. Rule 10: causality by links.")

trace(
    "browser-root-and-server",
    (page := Service("farm-web", "browser")).span("HTTP POST", door.serve("POST /cows/:id/sell", 403, ok(), door.call(milk.serve("POST /sales", 403, milk.check(False, "cow is pledged to the bank", mark="rule")))), kind="client", scope=f"{JS}-fetch#0.208.0",
              attrs={"http.method": "POST", "http.url": "https://farm.example/cows/4711/sell", "http.status_code": 403, "component": "fetch", "http.user_agent": "Mozilla/5.0"}),
    outcome="denied", layer="application", phase="authz", service="milk-ledger", where="rule", reason="pledged", confidence=["high"], findings=["relayed_by"],
    why="Rule 2; the browser's own span is the client.")

trace(
    "sibling-throttled-while-another-refuses",
    door.serve("POST /reports", 403, ok(), door.call(feed.serve("GET /quota", 429, feed.span("flask-limiter", attrs={"ratelimit.exceeded": True}, scope="feed")), beside=True), door.call(herd.serve("GET /herd", 200, herd.check(True))), door.call(milk.serve(
        "POST /reports", 403, milk.check(False, "reports need a subscription", mark="rule")))),
    outcome="denied", layer="application", phase="authz", service="milk-ledger", where="rule", entry_status=403, reason="subscription",
    why="Rule 3: a denied sibling whose caller went on is not the origin.")

trace(
    "same-token-check-twice-second-instance-decides",
    door.serve("GET /records/:id", 401, door.call(vet.serve("GET /records/:id", 401, vet.token(False, "signature does not verify", mark="first"))), door.call(vet.serve("GET /records/:id", 401, vet.token(False, "signature does not verify", mark="second")), attrs={"http.request.resend_count": 1})),
    outcome="denied", layer="application", phase="authn", service="vet-records", where="second", entry_status=401, no_findings=["retried"], confidence=["high"],
    why="Rule 12: of several attempts at one thing, the last.")

trace(
    "otelhttp-names-without-a-route-relay",
    Span(Service("feed-edge", "go"), "HTTP GET", "server", [Span(Service("feed-edge", "go"), "HTTP GET", "client", [vet.serve("GET /records/:id", 403, vet.check(False, "keeper of another farm", mark="rule"))], {
        "http.method": "GET", "http.url": "http://vet-records:8080/records/4711", "http.status_code": 403, "net.peer.name": "vet-records"}, f"{GO}/net/http/otelhttp#0.49.0", status="error")],
        {"http.method": "GET", "http.target": "/records/4711", "http.status_code": 403, "net.host.name": "feed-edge"}, f"{GO}/net/http/otelhttp#0.49.0"),
    outcome="denied", layer="application", phase="authz", service="vet-records", where="rule", entry_status=403, confidence=["high"],
    why="Rule 2 with old names throughout.")
