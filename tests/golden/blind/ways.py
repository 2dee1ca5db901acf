"""The ways of a request: relayed, masked, rewritten, retried, branched, batched, bypassed, and what it changed."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Span, exception, trace
from instruments import JS, JVM, PY, Service, handler, middlewares

gw = Service("harbour-gateway", "go")
berths = Service("berths", "java")
customs = Service("customs", "fastapi", old=True)
cargo = Service("cargo", "undici")
billing = Service("billing", "aspnet")
docs = Service("paperwork", "flask", old=True)
KAFKA = f"{JVM}.kafka-clients-2.6#2.22.0-alpha"


def ok(subject: str) -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject})


# ---------------------------------------------------------------------------------------- relays and other clothes
trace(
    "three-relays-mixed-conventions",
    gw.serve("POST /v1/clearances", 403, ok("agent-12"), gw.call(cargo.serve(
        "POST /clearances", 403, *middlewares(cargo, "query", "expressInit", "jsonParser"), handler(cargo, "/clearances", cargo.call(docs.serve(
            "POST /packets", 403, docs.query("SELECT * FROM packets WHERE id = %s", table="packets"), docs.call(customs.serve(
                "POST /declare", 403, customs.check(False, "declarant is suspended", mark="refusal", attrs={"auth.subject": "agent-12"})))), fresh=True)))), ip="203.0.113.3"),
    outcome="denied", layer="application", phase="authz", service="customs", where="refusal", reason="suspended", principal="agent-12", client_address="203.0.113.3",
    findings=["relayed_by"], no_findings=["status_rewritten", "masked_denial"], confidence=["high"], enforced_by="customs",
    layers=[["api_gateway", "allow"], ["application", "deny"]],
    why="Rule 2: followed from the entry down through hops that relay it to the hop that took it.")

trace(
    "401-becomes-403-becomes-500",
    gw.serve("GET /v1/manifest", 500, gw.call(cargo.serve("GET /manifest", 403, cargo.call(berths.serve(
        "GET /berths", 401, berths.token(False, "unknown key id", mark="refusal")))), status="error")),
    outcome="denied", layer="application", phase="authn", service="berths", where="refusal", reason="unknown key id", findings=["status_rewritten"], entry_status=500,
    why="Rule 2; each hop turned the refusal into another error.")

trace(
    "refusal-text-in-german",
    gw.serve("GET /v1/zoll/{id}", 403, gw.call((zoll := Service("zollstelle", "java")).serve("GET /zoll/{id}", 403, zoll.check(
        False, "Zugriff verweigert: Rolle „Prüfer“ fehlt", mark="refusal", attrs={"auth.subject": "müller-7"})))),
    outcome="denied", layer="application", phase="authz", service="zollstelle", where="refusal", reason="Rolle „Prüfer“ fehlt", principal="müller-7", confidence=["high"],
    why="The attribute decides, in whichever language its text is.")

trace(
    "refusal-text-in-japanese-soft-404",
    gw.serve("GET /v1/倉庫/{id}", 404, gw.call((soko := Service("倉庫", "go", dns="souko")).serve("GET /souko/{id}", 404, soko.check(
        False, "権限がありません", mark="refusal")))),
    outcome="denied", layer="application", service="倉庫", where="refusal", reason="権限", findings=["masked_denial"],
    why="Outcomes: denied also when masked as 404.")

trace(
    "200-with-the-refusal-in-the-body",
    gw.serve("POST /rpc", 200, gw.call(docs.serve("POST /rpc", 200, docs.check(False, "document is sealed", mark="refusal")))),
    outcome="denied", layer="application", phase="authz", service="paperwork", where="refusal", reason="sealed", findings=["masked_denial"], entry_status=200,
    no_findings=["fail_open"],
    why="Catalogue §4.8: a decisive deny and no business call after it: a refusal in the body of a 200.",
    doubt="nothing in the trace shows the body; it rests on nothing having happened after the deny")

trace(
    "redirect-to-sign-in-after-session-check",
    (mall := Service("mall-web", "rails", old=True)).serve("GET /orders", 303, mall.token(False, "session revoked", mark="refusal", attrs={"auth.token_type": "session"}),
                                                           attrs={"http.response.header.location": ["https://mall.example/users/sign_in"]}),
    outcome="denied", layer="application", phase="authn", service="mall-web", where="refusal", reason="revoked", findings=["masked_denial"], entry_status=303,
    why="Outcomes: a redirect to a login page is a masked refusal.")

# ---------------------------------------------------------------------------------------- answers of the business
trace(
    "not-found-after-checks",
    gw.serve("GET /v1/berths/{id}", 404, ok("agent-13"), gw.call(berths.serve("GET /berths/{id}", 404, berths.check(True, attrs={"auth.subject": "agent-13"}),
                                                                             berths.query("SELECT * FROM berth WHERE id = ?", table="berth")))),
    outcome="allowed", layer=None, span_id=None, principal="agent-13", no_findings=["masked_denial"], confidence=["high"],
    why="Outcomes: 404 after its visible checks passed is an answer of the business.")

trace(
    "conflict-without-any-check",
    gw.serve("PUT /v1/berths/{id}", 409, gw.call(berths.serve("PUT /berths/{id}", 409, berths.query("SELECT version FROM berth WHERE id = ?", table="berth")))),
    outcome="no_auth_evidence", layer=None, span_id=None, confidence=["high"],
    why="Outcomes: an answer of the business with no visible check is no_auth_evidence.")

trace(
    "unprocessable-after-checks",
    gw.serve("POST /v1/declare", 422, ok("agent-14"), gw.call(customs.serve("POST /declare", 422))),
    outcome="allowed", layer=None, principal="agent-14", no_findings=["masked_denial", "status_rewritten"],
    why="Outcomes: a 4xx of the business after the visible checks passed.")

trace(
    "payment-required-without-check",
    billing.serve("POST /invoices/{id}/pay", 402, billing.query("SELECT state FROM invoices WHERE id = @p0", table="invoices")),
    outcome="no_auth_evidence", layer=None, span_id=None,
    why="Outcomes: 402 with no visible check.")

trace(
    "client-went-away-during-check",
    gw.serve("GET /v1/search", 499, gw.fetch("POST http://opa:8181/v1/data/harbour/search", None, error="context canceled", message="context canceled", lasts=800)),
    outcome=["error", "inconclusive", "no_auth_evidence", "allowed"], layer=[None, "policy_engine"], entry_status=499, no_findings=["fail_closed", "fail_open"],
    why="Catalogue §4.30: a client abort; no decision was taken, so nothing is denied.",
    doubt="the law has no outcome of its own for a cancelled request")

trace(
    "ordinary-traffic-without-auth",
    gw.serve("GET /healthz", 200, gw.call(berths.serve("GET /actuator/health", 200, berths.query("SELECT 1"))), agent="kube-probe/1.31"),
    outcome="no_auth_evidence", layer=None, span_id=None, confidence=["high"], no_findings=["fail_open"],
    why="Nothing speaks of authentication or authorization and the trace is whole: high.")

trace(
    "management-endpoint-refuses-probe",
    berths.serve("GET /actuator/heapdump", 401, mark="leaf", agent="Mozilla/5.0 zgrab/0.x", ip="198.51.100.200"),
    outcome="denied", layer="application", phase="authn", service="berths", where="leaf", confidence=["medium"], client_address="198.51.100.200",
    why="Rule 6: the hop answered 401 and called nobody, whoever asked.")

trace(
    "application-fails-after-allow",
    gw.serve("POST /v1/berths", 500, ok("agent-15"), gw.call(berths.serve("POST /berths", 500, berths.check(True), berths.span(
        "allocate", status="error", events=[exception("java.lang.NullPointerException", "vessel")], mark="broke"),
        events=[exception("java.lang.NullPointerException", "vessel")]))),
    outcome="error", service="berths", layer="application", entry_status=500, no_findings=["fail_closed", "fail_open", "status_rewritten"],
    layers=[["api_gateway", "allow"], ["application", "allow"]],
    why="Outcomes: no layer refused, the application broke after its checks allowed.")

# ---------------------------------------------------------------------------------------- branches, batches, retries
trace(
    "optional-part-is-refused",
    gw.serve("GET /v1/vessel/{id}", 200, ok("agent-16"), gw.call(cargo.serve(
        "GET /vessel/:id", 200, cargo.call(berths.serve("GET /berths", 200, berths.check(True))),
        cargo.call(billing.serve("GET /debts", 403, billing.check(False, "finance scope missing", mark="refusal"))),
        cargo.query("SELECT * FROM vessels WHERE id = $1", table="vessels")))),
    outcome="partially_denied", layer="application", phase="authz", service="billing", where="refusal", reason="finance scope", entry_status=200,
    no_findings=["fail_open", "side_effect_after_denial", "retried"],
    why="Outcomes: an optional part was refused and the request as a whole went on.")

trace(
    "fan-out-root-takes-the-refusal",
    gw.serve("GET /v1/overview", 403, ok("agent-17"), gw.call(cargo.serve(
        "GET /overview", 403, cargo.call(berths.serve("GET /berths", 200, berths.check(True)), beside=True),
        cargo.call(billing.serve("GET /debts", 403, billing.check(False, "finance scope missing", mark="refusal")), beside=True),
        cargo.call(docs.serve("GET /packets", 404), beside=True)))),
    outcome="denied", layer="application", service="billing", where="refusal", entry_status=403, findings=["relayed_by"],
    why="Rule 12: the entry's status decides between denied and partially_denied.")

trace(
    "bulk-release-some-refused",
    gw.serve("POST /v1/containers/release", 207, ok("agent-18"), gw.call(cargo.serve("POST /containers/release", 207, *(
        cargo.span(f"release container {i}", cargo.check(i not in (1, 3), "" if i not in (1, 3) else "customs hold", mark=f"check{i}"),
                   *([cargo.query("UPDATE containers SET state = 'released' WHERE id = $1", table="containers")] if i not in (1, 3) else []))
        for i in range(5))))),
    outcome="partially_denied", layer="application", service="cargo", where="check1", reason="customs hold", entry_status=207,
    no_findings=["side_effect_after_denial", "fail_open"],
    why="Outcomes: acting in bulk with some items refused; rule 12: of several equal denials in one batch, the first in causal order.")

trace(
    "bulk-refused-as-a-whole",
    gw.serve("POST /v1/containers/release", 403, ok("agent-19"), gw.call(cargo.serve("POST /containers/release", 403, *(
        cargo.check(False, "customs hold", mark=f"check{i}", attrs={"auth.resource": f"container:{i}"}) for i in range(3))))),
    outcome="denied", layer="application", service="cargo", where="check0", reason="customs hold", entry_status=403,
    why="Rule 12: of several equal denials in one batch, the first in causal order.")

trace(
    "second-check-of-the-caller-refuses-too",
    gw.serve("POST /v1/pilots", 403, ok("agent-20"), gw.call(berths.serve(
        "POST /pilots", 403, berths.check(False, "not a harbour master", attrs={"auth.resource": "role"}),
        berths.check(False, "no deputy mandate for today", mark="refusal", attrs={"auth.resource": "mandate"})))),
    outcome="denied", layer="application", service="berths", where="refusal", reason="deputy mandate",
    why="Rule 12: where the caller went on to a later check of its own that refused, the later one is the origin.",
    doubt="two different checks in a row, not equal denials of a batch")

trace(
    "three-attempts-all-refused",
    gw.serve("GET /v1/tides", 403, gw.call(cargo.serve("GET /tides", 403, *(
        cargo.call((tides := Service("tides", "gin")).serve("GET /tides", 403, tides.check(False, f"licence {n}", mark=f"try{n}")),
                   attrs={"http.request.resend_count": n} if n else {}) for n in range(3))))),
    outcome="denied", layer="application", service="tides", where="try2", reason="licence 2", findings=["relayed_by"], no_findings=["retried", "side_effect_after_denial"],
    why="Rule 12: of several attempts at one thing, the last.")

trace(
    "refused-post-is-sent-again",
    gw.serve("POST /v1/pilots/{id}/assign", 403, ok("agent-21"), gw.call(cargo.serve(
        "POST /assign", 403, cargo.call(berths.serve("POST /assignments", 403, berths.check(False, "shift is closed", mark="first"))),
        cargo.call(berths.serve("POST /assignments", 403, berths.check(False, "shift is closed", mark="second")), attrs={"http.request.resend_count": 1})))),
    outcome="denied", layer="application", service="berths", where="second", no_findings=["side_effect_after_denial", "side_effect_before_denial", "retried"],
    why="Interface: a retry of the refused call is no side effect; rule 12: of several attempts the last.")

trace(
    "provider-fails-once-then-answers",
    gw.serve("GET /v1/fees", 200, gw.fetch("POST http://auth-core:9000/oauth2/introspect", 503), gw.call(Service("auth-core", "java", port=9000).serve(
        "POST /oauth2/introspect", 200)), gw.token(True, attrs={"auth.subject": "agent-22"}), gw.call(billing.serve("GET /fees", 200))),
    outcome="allowed", layer=None, principal="agent-22", no_findings=["fail_open", "fail_closed"],
    why="Rule 5: an error is no denial; the second attempt answered and the check allowed, so nothing failed open.")

trace(
    "denied-then-allowed-with-other-role",
    gw.serve("GET /v1/logbook", 200, gw.call(berths.serve(
        "GET /logbook", 200, berths.check(False, "viewer role missing", attrs={"auth.resource": "logbook:17"}),
        berths.check(True, attrs={"auth.resource": "logbook:17", "auth.subject": "agent-23"}), berths.query("SELECT * FROM logbook WHERE id = ?", table="logbook")))),
    outcome="allowed", layer=None, findings=["retried"], no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 3: an earlier denial followed by a successful attempt at the same thing is `retried`.")

# ---------------------------------------------------------------------------------------- asynchronous work
trace(
    "accepted-then-worker-refuses",
    gw.serve("POST /v1/refunds", 202, ok("agent-24"), gw.call(billing.serve(
        "POST /refunds", 202, billing.query("INSERT INTO refunds (id) VALUES (@p0)", table="refunds"),
        billing.publish("kafka", "refunds", (worker := Service("refund-worker", "fastapi", old=True)).consume(
            "kafka", "refunds", worker.check(False, "clerk may not refund above 500", mark="refusal", attrs={"auth.subject": "agent-24"}),
            scope=f"{PY}.aiokafka#0.60b1", status="error", behind=1500.0), scope="Confluent.Kafka")))),
    outcome="partially_denied", layer="application", phase="authz", service="refund-worker", where="refusal", reason="above 500", entry_status=202, principal="agent-24",
    no_findings=["fail_open"],
    why="Outcomes: work accepted (202) that a consumer later refused; the verdict names the consumer.")

trace(
    "linked-consumer-refuses",
    gw.serve("POST /v1/notices", 202, ok("agent-25"), gw.call(docs.serve("POST /notices", 202, docs.publish("rabbitmq", "notices", scope=f"{PY}.pika#0.60b1", mark="sent")))),
    (sender := Service("notice-sender", "node")).consume(
        "rabbitmq", "notices", sender.check(False, "recipient has opted out of this sender", mark="refusal"), scope=f"{JS}-amqplib#0.55.0", links=["sent"], at=900.0),
    outcome="partially_denied", layer="application", service="notice-sender", where="refusal", reason="opted out", entry_status=202, findings=["multiple_roots"],
    why="Outcomes: accepted work that a consumer refused; rule 10: causality by links.")

trace(
    "worker-alone-refuses",
    sender.consume("rabbitmq", "invoices", sender.query("SELECT tier FROM accounts WHERE id = $1", table="accounts"),
                   sender.check(False, "account is frozen", mark="refusal", attrs={"auth.subject": "acct-9"}), scope=f"{JS}-amqplib#0.55.0",
                   links=[("5d0c54f6a1b84e0e9d3f6a2b1c7e8f90", "a1b2c3d4e5f60718")]),
    outcome="denied", layer="application", phase="authz", service="notice-sender", where="refusal", reason="frozen", principal="acct-9", confidence=["high"],
    no_findings=["multiple_roots", "orphan_spans"],
    why="Outcomes: a trace whose entry is a CONSUMER has no client; it is denied where its work was refused.")

trace(
    "worker-does-its-work",
    sender.consume("rabbitmq", "invoices", sender.check(True, attrs={"auth.subject": "acct-10"}), sender.query("INSERT INTO sent (id) VALUES ($1)", table="sent"),
                   scope=f"{JS}-amqplib#0.55.0"),
    outcome="allowed", layer=None, principal="acct-10", side_effects=[["db_write", "no_denial"]], no_findings=["side_effect_after_denial"],
    why="An explicit allow on a whole path, and the work was done.")

# ---------------------------------------------------------------------------------------- what was changed
trace(
    "write-rolled-back-before-refusal-leaves",
    gw.serve("POST /v1/bookings", 403, ok("agent-26"), gw.call(berths.serve(
        "POST /bookings", 403, berths.query("BEGIN"), berths.query("INSERT INTO booking (berth) VALUES (?)", table="booking"),
        berths.check(False, "vessel is under arrest", mark="refusal"), berths.query("ROLLBACK")))),
    outcome="denied", layer="application", service="berths", where="refusal", reason="under arrest", no_findings=["side_effect_before_denial", "side_effect_after_denial"],
    why="Findings: side_effect_before_denial only where nothing rolled it back that the trace shows.")

trace(
    "write-before-denial-stays",
    gw.serve("POST /v1/bookings", 403, ok("agent-27"), gw.call(cargo.serve(
        "POST /bookings", 403, cargo.query("INSERT INTO bookings (id) VALUES ($1)", table="bookings"),
        cargo.span("S3.PutObject", kind="client", scope=f"{JS}-aws-sdk#0.64.0", attrs={"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "PutObject", "http.status_code": 200}),
        cargo.call(customs.serve("POST /declare", 403, customs.check(False, "no power of attorney", mark="refusal")))))),
    outcome="denied", layer="application", service="customs", where="refusal", findings=["side_effect_before_denial", "relayed_by"],
    side_effects=[["db_write", "before_denial"], ["object_write", "before_denial"]], no_findings=["side_effect_after_denial", "fail_open"],
    why="Findings: a row and an object were written before the denial and nothing took them back.")

trace(
    "charge-and-mail-despite-denial",
    gw.serve("POST /v1/dues", 200, ok("agent-28"), gw.call(billing.serve(
        "POST /dues", 200, billing.check(False, "payer is not the owner", mark="refusal"), billing.fetch("POST https://api.adyen.com/v71/payments", 200),
        billing.fetch("POST https://api.sendgrid.com/v3/mail/send", 202), billing.query("UPDATE dues SET paid = 1 WHERE id = @p0", table="dues")))),
    outcome="bypassed", layer="application", phase="authz", service="billing", where="refusal", reason="not the owner", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"], ["http_write", "after_denial"], ["mail", "after_denial"]], entry_status=200,
    why="Outcomes: a layer refused the protected action and it happened all the same.")

trace(
    "audit-row-after-denial",
    gw.serve("GET /v1/ledgers", 403, ok("agent-29"), gw.call(billing.serve(
        "GET /ledgers", 403, billing.check(False, "ledger:read missing", mark="refusal"),
        billing.query("INSERT INTO access_log (who, what, verdict) VALUES (@p0, @p1, 'deny')", table="access_log"),
        billing.publish("kafka", "security-events", scope="Confluent.Kafka")))),
    outcome="denied", layer="application", service="billing", where="refusal", side_effects=[["audit", "after_denial"]],
    no_findings=["side_effect_after_denial", "fail_open"],
    why="Interface: a record of the refusal itself is `audit`, never a finding.")

trace(
    "refused-but-message-already-out",
    gw.serve("DELETE /v1/containers/{id}", 403, ok("agent-30"), gw.call(cargo.serve(
        "DELETE /containers/:id", 403, cargo.check(False, "container is sealed", mark="refusal"),
        cargo.publish("kafka", "containers.removed", scope=f"{JS}-kafkajs#0.18.0"), cargo.query("DELETE FROM containers WHERE id = $1", table="containers")))),
    outcome=["bypassed", "denied"], layer="application", service="cargo", where="refusal", findings=["side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"], ["message", "after_denial"]], entry_status=403,
    why="Findings: a write and a message in the guarded branch began after its denial; outcomes: the protected thing happened all the same.",
    doubt="the client saw the 403: denied and bypassed both read true")

trace(
    "counter-in-cache-after-denial-of-branch",
    gw.serve("GET /v1/home", 200, ok("agent-31"), gw.call(cargo.serve(
        "GET /home", 200, cargo.call(billing.serve("GET /debts", 403, billing.check(False, "finance scope missing", mark="refusal"))),
        cargo.span("set", kind="client", scope=f"{JS}-ioredis#0.56.0", attrs={"db.system": "redis", "db.statement": "set home:31 ?", "net.peer.name": "cache"})))),
    outcome="partially_denied", layer="application", service="billing", where="refusal", no_findings=["side_effect_after_denial", "fail_open"],
    why="Findings: only what began in the guarded branch; the page's own cache is outside the refused branch.")

trace(
    "allowed-chain-with-effects",
    gw.serve("POST /v1/voyages", 201, ok("agent-32"), gw.call(berths.serve(
        "POST /voyages", 201, berths.check(True, attrs={"auth.subject": "agent-32"}), berths.query("INSERT INTO voyage (id) VALUES (?)", table="voyage"),
        berths.publish("kafka", "voyages", scope=KAFKA), berths.call(customs.serve("POST /announce", 201, customs.token(True))))), ip="203.0.113.40"),
    outcome="allowed", layer=None, span_id=None, confidence=["high"], principal="agent-32", client_address="203.0.113.40",
    side_effects=[["db_write", "no_denial"], ["message", "no_denial"]], no_findings=["side_effect_after_denial", "side_effect_before_denial", "fail_open", "pii_in_attributes"],
    layers=[["api_gateway", "allow"], ["application", "allow"]],
    why="Explicit allows on a whole path: high.")

# ---------------------------------------------------------------------------------------- not the loudest
trace(
    "tolerated-crash-beside-the-denial",
    gw.serve("GET /v1/yard", 403, ok("agent-33"), gw.call(cargo.serve(
        "GET /yard", 403, cargo.call((wx := Service("weather", "go")).serve("GET /weather", 500, wx.fetch("GET http://buoys:8080/latest", None, error="ECONNREFUSED"))),
        cargo.check(False, "yard is closed to visitors", mark="refusal", status="unset"),
        cargo.span("render", status="error", message="template not found", events=[exception("Error", "template not found")])))),
    outcome="denied", layer="application", service="cargo", where="refusal", reason="closed to visitors", no_findings=["fail_open"],
    why="Rule 1: the decision, not the loudest span.")

trace(
    "unset-check-with-log-events",
    gw.serve("GET /v1/cranes", 403, gw.call((cranes := Service("cranes", "gin", old=True)).serve("GET /cranes", 403, cranes.check(
        False, "maintenance window", status="unset", mark="refusal", events=[Event("log", {"log.severity": "INFO", "log.message": "policy cranes-night evaluated"})]),
        events=[Event("log", {"log.severity": "ERROR", "log.message": "permission denied for table cranes (stale cache, ignored)"})]))),
    outcome="denied", layer="application", service="cranes", where="refusal", reason="maintenance window",
    why="Rule 4: an explicit decision outranks words in a message.")

trace(
    "slow-introspection-in-a-slow-request",
    gw.serve("GET /v1/vessels", 200, gw.token(True, "", gw.call(Service("auth-core", "java", port=9000).serve("POST /oauth2/introspect", 200, lasts=2300)),
                                              attrs={"auth.token_type": "opaque", "auth.subject": "agent-34"}), gw.call(berths.serve("GET /berths", 200)), ip="192.0.2.91"),
    outcome="allowed", layer=None, principal="agent-34", findings=["slow_auth"], no_findings=["fail_open"],
    why="Findings: authentication took most of a request of at least 1 s.")

trace(
    "quick-request-mostly-spent-on-token",
    gw.serve("GET /v1/vessels", 200, gw.token(True, "", lasts=9.0, attrs={"auth.subject": "agent-35"}), gw.call(berths.serve("GET /berths", 200, lasts=1.0))),
    outcome="allowed", layer=None, no_findings=["slow_auth"],
    why="Findings: slow_auth needs a request of at least 1 s.")
