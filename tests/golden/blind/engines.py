"""Policy engines asked by others, libraries in the process, and the questions that are no refusals."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Span, exception, trace
from instruments import Service, fga, fga_walk

ledger = Service("ledger-api", "go")
opa = Service("opa", "go", port=8181)
transfers = Service("transfers", "fastapi")
gw = Service("bank-edge", "gin")
vault = Service("doc-vault", "java")
openfga = Service("openfga", "go", port=8081)
spicedb = Service("spicedb", "go", old=True, port=50051)
keto = Service("keto", "go", port=4466)
tickets = Service("ticketing", "node")


def ok(subject: str, **kw: object) -> Span:
    """The entry's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject}, **kw)


# ---------------------------------------------------------------------------------------- Open Policy Agent
trace(
    "opa-asked-then-403",
    gw.serve("POST /transfers", 403, ok("cust-41"), gw.call(transfers.serve(
        "POST /transfers", 403, transfers.query("SELECT balance FROM accounts WHERE id = $1", table="accounts"),
        transfers.call(opa.serve("POST /v1/data/{path...}", 200, path="/v1/data/bank/transfer/allow", mark="opa",
                                 attrs={"opa.decision_id": "9c2b7c1e-0f0b-4c0e-8a42-0a6b1a0c7f10"})))), ip="192.0.2.80"),
    outcome="denied", layer="policy_engine", phase="authz", service="opa", where="opa", enforced_by="transfers", principal="cust-41",
    confidence=["medium"], findings=["relayed_by"], entry_status=403, layers=[["api_gateway", "allow"], ["policy_engine", "deny"]],
    why="Rule 6: an OPA answer that records no result, followed at once by a refusal with no other check, is its denial (medium).")

trace(
    "opa-asked-then-own-check-refuses",
    gw.serve("POST /transfers", 403, ok("cust-42"), gw.call(transfers.serve(
        "POST /transfers", 403,
        transfers.call(opa.serve("POST /v1/data/{path...}", 200, path="/v1/data/bank/transfer/allow", attrs={"opa.decision_id": "11d0"})),
        transfers.check(False, "daily limit of the mandate exceeded", mark="refusal", attrs={"auth.subject": "cust-42"})))),
    outcome="denied", layer="application", phase="authz", service="transfers", where="refusal", reason="daily limit", principal="cust-42",
    confidence=["high"],
    why="Rule 6 names OPA only where no other check follows; the service's explicit check is the deepest decision that explains the 403.")

trace(
    "opa-policy-does-not-compile",
    transfers.serve("GET /limits", 403, transfers.call(opa.serve("POST /v1/data/{path...}", 500, path="/v1/data/bank/limits", mark="opa",
                                                                attrs={"opa.decision_id": "77aa"})), ip="192.0.2.81"),
    outcome="error", layer="policy_engine", service="opa", where="opa", entry_status=403, findings=["fail_closed"], no_findings=["relayed_by"],
    why="Rule 5: a 5xx of the policy engine is an error; the caller turned it into a refusal.")

trace(
    "opa-unreachable-transfer-booked",
    gw.serve("POST /transfers", 201, ok("cust-43"), gw.call(transfers.serve(
        "POST /transfers", 201,
        transfers.fetch("POST http://opa:8181/v1/data/bank/transfer/allow", None, error="ConnectError",
                        events=[exception("httpx.ConnectError", "[Errno 111] Connection refused")]),
        transfers.query("INSERT INTO bookings (src, dst, amount) VALUES ($1, $2, $3)", table="bookings")))),
    outcome="allowed", layer=None, span_id=None, findings=["fail_open"], no_findings=["fail_closed", "uninstrumented_peer", "missing_hop"],
    side_effects=[["db_write", "no_denial"]], principal="cust-43",
    why="Outcomes: a check that broke and let the request through is allowed with fail_open.")

trace(
    "opa-variant-attribute-on-callers-span",
    gw.serve("GET /statements", 403, ok("cust-44"), gw.call(ledger.serve("GET /statements", 403, ledger.call(
        opa.serve("POST /v1/data/{path...}", 200, path="/v1/data/bank/statements/allow", mark="opa"),
        attrs={"opa.decision": "deny", "authz.reason": "statement older than retention"})))),
    outcome="denied", layer="policy_engine", phase="authz", service="opa", where="opa", reason="older than retention", enforced_by="ledger-api",
    confidence=["high"],
    why="Who is named: the engine has a SERVER span and its result is on the asker's, so the SERVER span is named; the result is explicit.")

# ---------------------------------------------------------------------------------------- Cerbos
cerbos = Service("cerbos", "go", port=3593)
trace(
    "cerbos-asked-then-403",
    vault.serve("GET /docs/{id}", 403, vault.query("SELECT owner, state FROM docs WHERE id = ?", table="docs"),
                vault.ask_alone("cerbos.svc.v1.CerbosService/CheckResources", "OK", host="cerbos", mark="ask"), ip="198.51.100.4"),
    outcome="denied", layer="policy_engine", phase="authz", service="doc-vault", where="ask", enforced_by="doc-vault", confidence=["medium"],
    findings=["uninstrumented_peer"],
    why="Rule 6: Cerbos' answer records no result and the refusal followed at once; it did not continue the trace, so the asker's span is named.")

trace(
    "cerbos-spans-without-policy",
    vault.serve("DELETE /docs/{id}", 403, vault.ask(cerbos.answer(
        "cerbos.svc.v1.CerbosService/CheckResources", "OK", cerbos.span(
            "engine.Check", cerbos.span("engine.Evaluate", scope="cerbos.dev/cerbos", attrs={"cerbos.request.resource_id": "4711"}, mark="evaluate"),
            scope="cerbos.dev/cerbos", mark="check"), mark="cerbos", attrs={"cerbos.request.id": "01JBAZ"}))),
    outcome="denied", layer="policy_engine", phase="authz", service="cerbos", where=("cerbos", "check", "evaluate"), confidence=["medium"],
    enforced_by="doc-vault",
    why="Rule 6: Cerbos' answer records no result, nothing else was asked, and the refusal followed.")

trace(
    "cerbos-http-batch-for-a-menu",
    gw.serve("GET /menu", 200, ok("cust-45"), gw.call(tickets.serve("GET /menu", 200, tickets.fetch("POST http://cerbos:3592/api/check/resources", 200)))),
    outcome="allowed", layer=None, no_findings=["fail_open", "masked_denial"],
    why="Rule 8: asking what is permitted refuses nobody; the client got its menu.")

# ---------------------------------------------------------------------------------------- OpenFGA
trace(
    "openfga-denies-and-404-hides-it",
    gw.serve("GET /docs/{id}", 404, ok("user-9"), gw.call(vault.serve("GET /docs/{id}", 404, vault.fetch(
        f"POST http://openfga:8080/stores/{'01JB7MV0N4Z6S0P4X3W9R8Q2AA'}/check", 200, openfga.serve(
            "POST /stores/{store_id}/check", 200, fga(openfga, "Check", fga_walk(openfga, False), mark="check", allowed=False,
                                                      user="user:9", relation="viewer", object="doc:4711")))))),
    outcome="denied", layer="policy_engine", phase="authz", service="openfga", where="check", enforced_by="doc-vault", entry_status=404,
    findings=["masked_denial"], confidence=["high"],
    why="Catalogue §4.4: a 404 with a deny span below hides a refusal; OpenFGA's `allowed` is the decision.")

trace(
    "openfga-shadow-check-differs",
    gw.serve("GET /docs/{id}", 200, ok("user-10"), gw.call(vault.serve("GET /docs/{id}", 200, vault.ask(openfga.answer(
        "openfga.v1.OpenFGAService/Check", "OK", fga(
            openfga, "Check", fga_walk(openfga, True),
            fga(openfga, "shadowV2Check", fga(openfga, "V2Check", fga_walk(openfga, False), allowed=False, user="user:10", relation="viewer", object="doc:1"),
                matches=False), allowed=True, user="user:10", relation="viewer", object="doc:1"))),
        vault.query("SELECT body FROM docs WHERE id = ?", table="docs")))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open", "retried"], layers=[["policy_engine", "allow"]],
    why="Rule 9: a shadow evaluation never counts; the real check allowed.")

trace(
    "openfga-list-objects",
    vault.serve("GET /docs", 200, vault.ask(openfga.answer("openfga.v1.OpenFGAService/ListObjects", "OK", fga(
        openfga, "ListObjects", *(fga_walk(openfga, i == 1) for i in range(3)), user="user:11", relation="viewer"))),
        vault.query("SELECT id, title FROM docs WHERE id IN (?)", table="docs"), ip="198.51.100.5"),
    outcome="allowed", layer=None, no_findings=["fail_open"],
    why="Outcomes: asking in bulk what is permitted is allowed, whatever the answers.")

trace(
    "openfga-many-checks-filter-a-list",
    gw.serve("GET /inbox", 200, ok("user-12"), gw.call(tickets.serve("GET /inbox", 200, tickets.query("SELECT id FROM tickets LIMIT 4", table="tickets"), *(
        tickets.ask(openfga.answer("openfga.v1.OpenFGAService/Check", "OK", fga(
            openfga, "Check", fga_walk(openfga, i in (0, 3)), allowed=i in (0, 3), user="user:12", relation="reader", object=f"ticket:{i}")), beside=True)
        for i in range(4))))),
    outcome="allowed", layer=None, no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 8: list filtering contains normal denies; the request as a whole was not refused.")

trace(
    "openfga-broken-and-update-goes-on",
    gw.serve("PUT /docs/{id}", 200, ok("user-13"), gw.call(vault.serve(
        "PUT /docs/{id}", 200, vault.ask_alone("openfga.v1.OpenFGAService/Check", "DEADLINE_EXCEEDED", host="openfga", lasts=1000,
                                               text="context deadline exceeded"),
        vault.query("UPDATE docs SET body = ? WHERE id = ?", table="docs")))),
    outcome="allowed", layer=None, findings=["fail_open"], no_findings=["fail_closed", "retried"],
    why="Outcomes: a check that broke and let the request through is allowed with fail_open.")

trace(
    "openfga-check-times-out-fails-closed",
    vault.serve("GET /docs/{id}", 403, vault.ask(openfga.answer(
        "openfga.v1.OpenFGAService/Check", "DEADLINE_EXCEEDED", openfga.span(
            "Check", attrs={"user": "user:14", "relation": "viewer", "object": "doc:4"}, scope="openfga/pkg/server", status="error", message="context deadline exceeded", mark="check"),
        mark="rpc"), lasts=3000)),
    outcome="error", layer="policy_engine", service="openfga", where=("check", "rpc"), findings=["fail_closed"], entry_status=403, no_findings=["fail_open"],
    why="Rule 5: no `allowed` attribute means that the check did not finish; the caller failed closed.")

# ---------------------------------------------------------------------------------------- SpiceDB, Keto
trace(
    "spicedb-asked-then-403",
    gw.serve("POST /wards/{id}/notes", 403, ok("nurse-3"), gw.call((notes := Service("notes", "gin")).serve(
        "POST /wards/{id}/notes", 403, notes.ask(spicedb.answer(
            "authzed.api.v1.PermissionsService/CheckPermission", "OK", spicedb.span(
                "DispatchCheck → ward@nurse#write_note", scope="spicedb/internal/dispatch",
                attrs={"spicedb.internal.dispatch.resource_type": "ward#write_note", "spicedb.internal.dispatch.subject": "nurse:3"}), mark="spice"))))),
    outcome="denied", layer="policy_engine", phase="authz", service="spicedb", where="spice", enforced_by="notes", confidence=["medium"], principal="nurse-3",
    why="Rule 6: SpiceDB's answer records no result and the refusal followed at once.")

trace(
    "spicedb-refuses-our-own-key",
    notes.serve("GET /wards/{id}/notes", 500, notes.ask(spicedb.answer(
        "authzed.api.v1.PermissionsService/CheckPermission", "UNAUTHENTICATED", text="invalid preshared key: invalid token", mark="spice"))),
    outcome="denied", layer="policy_engine", phase="authn", service="spicedb", where="spice", reason="invalid token", entry_status=500,
    findings=["status_rewritten"],
    why="Catalogue E: 16 here means that the caller's own API token was refused; the caller turned it into a 500.",
    doubt="the layer of an engine that refuses its caller is not spelt out")

trace(
    "keto-403-is-its-answer",
    tickets.serve("POST /tickets/:id/close", 403, tickets.fetch(
        "GET http://keto:4466/relation-tuples/check?namespace=tickets&object=4711&relation=close&subject_id=ana", 403, keto.serve(
            "GET /relation-tuples/check", 403, keto.span("Engine.CheckRelationTuple", scope="github.com/ory/keto", events=[Event("PermissionsChecked")]),
            path="/relation-tuples/check?namespace=tickets&object=4711&relation=close&subject_id=ana", mark="keto")), ip="198.51.100.6"),
    outcome="denied", layer="policy_engine", phase="authz", service="keto", where="keto", enforced_by="ticketing", no_findings=["relayed_by"],
    entry_status=403,
    why="Catalogue §4.21: Keto's 403 is the engine's answer; the asker enforces it and does not relay.")

trace(
    "keto-without-spans",
    gw.serve("DELETE /tickets/{id}", 403, ok("ana"), gw.call(tickets.serve("DELETE /tickets/:id", 403, tickets.fetch(
        "POST http://keto:4466/relation-tuples/check", 403, mark="ask")))),
    outcome="denied", layer="policy_engine", phase="authz", service="ticketing", where="ask", enforced_by="ticketing", findings=["uninstrumented_peer"],
    confidence=["high", "medium"],
    why="Rule 7: the documented answer of a check endpoint, from an engine that sends no spans.")

# ---------------------------------------------------------------------------------------- in the process
trace(
    "cedar-in-the-process",
    gw.serve("POST /vaults/{id}/share", 403, ok("u-77"), gw.call((cedar := Service("share-service", "java")).serve(
        "POST /vaults/{id}/share", 403, cedar.span("cedar.authorization", scope="cedar4s", mark="refusal", attrs={
            "cedar.decision": "Deny", "cedar.action": "Vault::Action::\"share\"", "cedar.principal.type": "User", "cedar.resource.type": "Vault"})))),
    outcome="denied", layer="application", phase="authz", service="share-service", where="refusal", confidence=["high"], enforced_by="share-service",
    why="Who is named: an in-process library takes the layer of the service it runs in.")

trace(
    "permit-library-denies",
    (invoices := Service("invoice-desk", "node")).serve("POST /invoices/:id/approve", 403, invoices.span(
        "permit.check invoice:approve", scope="@zap-studio/permit", mark="refusal", attrs={"permit.decision": "deny", "permit.resource.type": "invoice"})),
    outcome="denied", layer="application", phase="authz", service="invoice-desk", where="refusal",
    why="Catalogue E: permit.decision is the outcome; a library takes its service's layer.")

trace(
    "casbin-hand-written",
    gw.serve("GET /cells/{id}", 403, ok("u-78"), gw.call((grid := Service("spreadsheet", "gin")).serve("GET /cells/:id", 403, grid.span(
        "casbin.Enforce", scope="spreadsheet/authz", mark="refusal", attrs={"authz.allowed": False, "authz.policy": "p, analyst, sheet:*, read"})))),
    outcome="denied", layer="application", phase="authz", service="spreadsheet", where="refusal", confidence=["high"],
    why="A hand-written statement on the span of an in-process library.")

trace(
    "variant-decision-on-server-span",
    gw.serve("PUT /profile", 403, ok("u-79"), gw.call((profile := Service("profile", "quarkus", old=True)).serve(
        "PUT /profile", 403, mark="leaf", attrs={"authorization.decision": "DENIED", "authz.reason": "profile is locked by compliance"}))),
    outcome="denied", layer="application", phase=["authz", "authn"], service="profile", where="leaf", reason="locked by compliance", confidence=["high"],
    why="Rule 4: an explicit decision attribute, in another spelling, on the span that refused.",
    doubt="rule 13 lets the reason say the phase, and a locked profile may be read as a locked account")

trace(
    "verdict-service-by-name-unknown",
    gw.serve("POST /orders", 403, ok("u-80"), gw.call(ledger.serve("POST /orders", 403, ledger.ask((ent := Service("entitlements", "java", port=9090)).answer(
        "com.acme.entitle.v2.Decisions/Evaluate", "OK", ent.span("evaluate rules", mark="refusal", scope="entitlements", attrs={
            "policy.decision": "deny", "authz.policy.name": "four-eyes", "authz.reason": "second approver missing"})))))),
    outcome="denied", layer="policy_engine", phase="authz", service="entitlements", where="refusal", reason="second approver", enforced_by="ledger-api",
    confidence=["high"],
    why="Who is named: asked for decisions about a third party's action and returns a verdict (gRPC OK) is policy_engine.")

trace(
    "card-authorization-is-declined",
    gw.serve("POST /pay", 402, ok("u-81"), gw.call((pay := Service("payments", "undici")).serve("POST /pay", 402, pay.check(True, attrs={"auth.subject": "u-81"}), pay.span(
        "authorize payment", attrs={"authorization.id": "au_19", "authorization.result": "declined", "authorization.declined_reason": "insufficient_funds",
                                    "payment.amount": 4200}, scope="payments")))),
    outcome="allowed", layer=None, span_id=None, no_findings=["fail_open", "masked_denial", "status_rewritten"], principal="u-81",
    why="Catalogue §4.27: card authorization is not access control; 402 after the visible checks passed is an answer of the business.")

trace(
    "engine-says-no-and-delete-happens",
    gw.serve("DELETE /vaults/{id}", 204, ok("u-82"), gw.call(vault.serve(
        "DELETE /vaults/{id}", 204, vault.ask(openfga.answer("openfga.v1.OpenFGAService/Check", "OK", fga(
            openfga, "Check", fga_walk(openfga, False), mark="check", allowed=False, user="user:82", relation="owner", object="vault:4711"))),
        vault.query("DELETE FROM vaults WHERE id = ?", table="vaults"),
        vault.publish("kafka", "vault-events", scope="io.opentelemetry.kafka-clients-2.6#2.22.0-alpha")))),
    outcome="bypassed", layer="policy_engine", phase="authz", service="openfga", where="check", findings=["fail_open", "side_effect_after_denial"],
    side_effects=[["db_write", "after_denial"], ["message", "after_denial"]], entry_status=204,
    why="Outcomes: a layer refused the protected action, and it happened all the same.")

trace(
    "probe-for-the-buttons",
    gw.serve("GET /tickets/{id}/actions", 200, ok("u-83"), gw.call(tickets.serve("GET /tickets/:id/actions", 200, *(
        tickets.check(good, "" if good else f"role lacks {what}", attrs={"auth.resource": what}) for what, good in
        (("close", False), ("reopen", True), ("escalate", False)))))),
    outcome="allowed", layer=None, no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 8: a permission probe contains normal denies.")
