"""More of what is not a plain refusal: open questions, gates that did not hold, parts left out, things that broke."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Span, exception, trace
from instruments import JS, JVM, Service, middlewares, resolver

port = Service("ferry-gateway", "gin")
book = Service("bookings-api", "symfony")
deck = Service("deck-plan", "ktor")
crew = Service("crewing", "axum")
fare = Service("fares", "aspnet", old=True)
mart = Service("duty-free", "undici")
auth = Service("passport-office", "micronaut")


def ok(subject: str = "pax-12") -> Span:
    return port.token(True, attrs={"auth.subject": subject})


# ---------------------------------------------------------------------------------------- open questions
trace(
    "peer-without-spans-answered-200-then-403",
    port.serve("GET /decks", 403, port.fetch("GET http://deck-legacy:8080/decks", 200)),
    outcome="inconclusive", layer=None, span_id=None, entry_status=403, findings=["uninstrumented_peer"],
    why="Rule 6: a callee that answered 2xx may have said no in its body.")

trace(
    "grpc-callee-of-unknown-purpose-said-ok",
    port.serve("POST /bookings", 401, port.ask_alone("ferry.session.v2.Sessions/Describe", "OK", host="sessions")),
    outcome="inconclusive", layer=None, span_id=None, entry_status=401,
    why="Rule 6: a callee that answered well may have said no in its body; nothing makes it a policy engine.")

trace(
    "partial-answer-hides-the-middle",
    port.serve("PUT /bookings/{id}", 403, ok(), port.call(book.serve("PUT /bookings/{id}", 403, deck.serve("GET /seats/{id}", 200, parent="00f067aa0ba902b7"), ))),
    shape="v2", partial=True,
    outcome=["inconclusive", "denied"], entry_status=403, findings=["truncated_trace"], confidence=["low", "medium"],
    why="Rule 6 and 7: the backend said partial and a part hangs in the air, so that it is open who refused.", doubt="the hop that answered 403 has nothing below it that is seen")

# ---------------------------------------------------------------------------------------- gates that did not hold
trace(
    "signature-check-fails-and-the-webhook-is-booked",
    mart.serve("POST /hooks/payments", 200, mart.span("verifySignature", attrs={"auth.result": "failure", "auth.failure_reason": "signature mismatch"}, scope="duty-free", status="error", mark="check"),
               mart.query("UPDATE orders SET paid = true WHERE id = $1", table="orders"), mart.publish("kafka", "orders.paid", scope=f"{JS}-kafkajs#0.18.0")),
    outcome="bypassed", layer="application", phase="authn", service="duty-free", where="check", entry_status=200, findings=["fail_open", "side_effect_after_denial"], side_effects=[["db_write", "after_denial"], ["message", "after_denial"]],
    why="The check refused the request and the protected thing happened all the same. Rule 13: a signature that does not verify is authn.")

trace(
    "policy-service-says-deny-and-the-caller-goes-on",
    port.serve("DELETE /bookings/{id}", 204, ok(), port.call(book.serve("DELETE /bookings/{id}", 204, book.call((pol := Service("policy-decisions", "go")).serve("POST /v1/decide", 200, pol.span("decide", attrs={"decision": "deny", "policy.id": "refund-window"}, scope="decisions", mark="rule"))),
        book.query("DELETE FROM booking WHERE id = ?", table="booking")))),
    outcome="bypassed", layer=["policy_engine", "application"], phase="authz", service="policy-decisions", where="rule", entry_status=204, findings=["fail_open", "side_effect_after_denial"],
    why="Asked about a third party's action it said deny, and the row was deleted.")

# ---------------------------------------------------------------------------------------- parts left out
trace(
    "graphql-one-field-of-several",
    mart.serve("POST /graphql", 200, mart.span("query Basket", resolver(mart, "basket.items"), resolver(mart, "basket.discount", fault="Not authorised to see discounts", type_="ForbiddenError", mark="field"), resolver(mart, "basket.total"), scope=f"{JS}-graphql#0.56.0",
               attrs={"graphql.operation.type": "query", "graphql.operation.name": "Basket"})),
    outcome="partially_denied", layer="application", phase="authz", service="duty-free", where="field", entry_status=200, no_findings=["fail_open"],
    why="Rule 14: a field refused beside others that resolved.")

trace(
    "bulk-upgrade-some-seats-refused",
    port.serve("POST /upgrades", 207, ok(), port.call(crew.serve("POST /upgrades", 207, *(crew.span("upgrade", crew.span("authorize", attrs={"authz.decision": "deny" if i == 1 else "allow", "authz.reason": "cabin is reserved for crew" if i == 1 else None}, scope="crew", mark=f"c{i}"),
        *([] if i == 1 else [crew.query("UPDATE seats SET class = $1 WHERE id = $2", table="seats")]), scope="crew") for i in range(3))))),
    outcome="partially_denied", layer="application", phase="authz", service="crewing", where="c1", reason="reserved for crew", entry_status=207, no_findings=["side_effect_after_denial", "fail_open"],
    why="Acting in bulk with some items refused.")

trace(
    "recommendations-are-left-out",
    mart.serve("GET /home", 200, mart.call(fare.serve("GET /fares", 200, fare.query("SELECT * FROM fares", table="fares"))), mart.fetch("GET https://recs.partner.example/v3/for/pax-12", 403, mark="ask")),
    outcome="partially_denied", layer="external_service", phase="authz", service="duty-free", where="ask", entry_status=200, findings=["uninstrumented_peer"], no_findings=["fail_open"],
    why="An optional part: the partner refused and the page was shown.")

# ---------------------------------------------------------------------------------------- let through
trace(
    "api-key-fails-then-session-passes",
    port.serve("GET /bookings", 200, port.span("authenticate api-key", attrs={"auth.result": "failure", "auth.failure_reason": "no api key"}, scope="ferry.auth"), port.span("authenticate session", attrs={"auth.result": "success", "auth.subject": "pax-9"}, scope="ferry.auth"),
               port.call(book.serve("GET /bookings", 200, book.query("SELECT * FROM booking", table="booking")))),
    outcome="allowed", layer=None, span_id=None, principal="pax-9", no_findings=["fail_open"],
    why="Either authenticator is enough; the second let the request pass.")

trace(
    "sign-in-succeeds-after-one-typing-error-elsewhere",
    port.serve("POST /login", 200, port.call(auth.serve("POST /sessions", 200, auth.login(True, attrs={"auth.username": "pax-12", "auth.method": "password"}), auth.query("INSERT INTO session (id) VALUES (?)", table="session"))), ip="198.51.100.14"),
    outcome="allowed", layer=None, span_id=None, principal="pax-12", client_address="198.51.100.14", layers=[["identity_provider", "allow"]], no_findings=["side_effect_before_denial"],
    why="An explicit allow of the service that verifies logins for others.")

trace(
    "token-endpoint-issues-to-a-client",
    auth.serve("POST /oauth2/token", 200, auth.span("authenticate client", attrs={"auth.result": "success", "auth.subject": "svc-fares"}, scope="passport"), auth.query("INSERT INTO tokens (id) VALUES (?)", table="tokens")),
    outcome="allowed", layer=None, span_id=None, principal="svc-fares", confidence=["high"],
    why="An explicit allow and a good answer.")

trace(
    "express-guard-passes-and-handler-runs",
    mart.serve("GET /basket/:id", 200, *middlewares(mart, "query", "jwtCheck", "requireScope"), mart.span("request handler - /basket/:id", mart.query("SELECT * FROM baskets WHERE id = $1", table="baskets"), scope=f"{JS}-express#0.57.0",
               attrs={"http.route": "/basket/:id", "express.name": "/basket/:id", "express.type": "request_handler"})),
    outcome=["allowed", "no_auth_evidence"], layer=None, span_id=None, no_findings=["fail_open"],
    why="The client got what it asked for.", doubt="whether a guard that was passed silently is a visible check")

# ---------------------------------------------------------------------------------------- nothing of the kind, and broken things
trace(
    "timetable-is-compiled",
    crew.span("compile timetable", crew.query("SELECT * FROM sailings", table="sailings"), crew.query("INSERT INTO timetable (id) VALUES ($1)", table="timetable"), scope="crewing"),
    outcome="no_auth_evidence", layer=None, span_id=None, side_effects=[["db_write", "no_denial"]],
    why="A job without any check.")

trace(
    "preflight-of-another-origin",
    port.serve("OPTIONS /bookings", 204, attrs={"http.request.header.origin": ["https://shop.example"]}),
    outcome="no_auth_evidence", layer=None, span_id=None,
    why="A preflight asks about origins and is answered; nobody was judged.")

trace(
    "broker-is-not-available",
    port.serve("POST /bookings", 503, ok(), port.call(book.serve("POST /bookings", 503, book.check(True), book.publish("rabbitmq", "bookings", status="error", mark="pub", message="AMQPIOException: stream_socket_client(): Unable to connect to tcp://rabbitmq:5672 (Connection refused)")))),
    outcome="error", layer="message_broker", service="bookings-api", where="pub", entry_status=503, no_findings=["fail_closed", "status_rewritten"],
    why="A connection refused by a socket is no refusal of a layer.")

trace(
    "request-runs-into-its-own-deadline",
    port.serve("GET /decks", 504, ok(), port.call(deck.serve("GET /decks", 500, deck.span("render", scope="deck", status="error", mark="slow", events=[exception("kotlinx.coroutines.TimeoutCancellationException", "Timed out waiting for 2000 ms")])))),
    outcome="error", layer="application", service="deck-plan", where="slow", entry_status=504, no_findings=["fail_closed"],
    why="The application broke; no layer refused.")

trace(
    "ldap-directory-is-away-and-the-login-fails",
    auth.serve("POST /sessions", 401, auth.span("LDAP bind", kind="client", scope=f"{JVM}.ldap", status="error", mark="ldap", attrs={"server.address": "ldap.port.example", "server.port": 636}, events=[
        exception("javax.naming.CommunicationException", "ldap.port.example:636 [Root exception is java.net.ConnectException: Connection timed out]")])),
    outcome="error", layer="identity_provider", service="passport-office", where="ldap", entry_status=401, findings=["fail_closed"],
    why="Rule 5: the directory could not be asked, and the client got a refusal for it.")

trace(
    "worker-logs-a-forbidden-and-finishes",
    crew.consume("kafka", "rosters", crew.query("UPDATE rosters SET state = 'done' WHERE id = $1", table="rosters"), scope="rdkafka-tracing", events=[Event("log", {"log.severity": "INFO", "log.message": "skipping forbidden holiday 2026-12-25"})]),
    outcome="no_auth_evidence", layer=None, span_id=None, side_effects=[["db_write", "no_denial"]],
    why="Words in a log line that speak of a holiday are no decision.")
