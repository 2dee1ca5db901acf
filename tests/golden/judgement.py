"""Labelled traces of the rules of judgement: which of several, tolerated refusals, errors, side effects, damage."""

from golden.drawing import S, case
from golden.kit import (
    Svc,
    aws,
    envoy,
    exc,
    openfga,
)

gw = Svc("edge-gateway", "go")
bff = Svc("web-bff", "node")
orders = Svc("orders", "python")
billing = Svc("billing", "node")
inv = Svc("inventory", "java", old=True)
identity = Svc("identity", "java")
policy = Svc("policy", "go", port=8181)
docs = Svc("docs", "go")
shop = Svc("shop", "flask")
opa = Svc("opa", "go", port=8181)
recs = Svc("recommendations", "python")
users = Svc("users", "go")
MAL = {"auth.subject": "mallory"}


def valid(sub="mallory", **kw):
    return gw.token(True, attrs={"auth.subject": sub}, **kw)


fga = Svc("openfga", port=8081)


def rel(code, inner, svc=orders, path="/x", **kw):
    return gw.serves(f"GET /api{path}", code, valid(), gw.calls(inner), **kw)


def ins(**kw):
    return orders.sql("INSERT INTO orders (a) VALUES (1)", table="orders", **kw)


# ---------------------------------------------------------------------------------------- outcomes
case(
    "business-404-allowed",
    rel(404, orders.serves("GET /x", 404, orders.check(True), orders.sql("SELECT 1"))),
    outcome="allowed",
    layer=None,
    no_findings=["masked_denial"],
)
case(
    "business-404-none",
    gw.serves("GET /api/x", 404, gw.calls(orders.serves("GET /x", 404, orders.sql("SELECT 1")))),
    outcome="no_auth_evidence",
    layer=None,
)
case("business-409", rel(409, orders.serves("POST /x", 409, orders.check(True))), outcome="allowed")
case(
    "broken-check-open",
    rel(
        200,
        orders.serves(
            "PUT /x", 200, orders.calls(policy.serves("POST /v1/decide", 503)), orders.sql("UPDATE t SET a=1", table="t")
        ),
    ),
    outcome="allowed",
    layer=None,
    findings=["fail_open"],
)
case(
    "idp-timeout-open",
    gw.serves(
        "GET /api/x",
        200,
        gw.fetches("POST http://identity:8080/oauth2/introspect", None, error="timeout", dur=900),
        gw.calls(orders.serves("GET /x", 200)),
    ),
    outcome="allowed",
    findings=["fail_open"],
)
case(
    "idp-down-cached-key",
    gw.serves(
        "GET /api/x",
        200,
        gw.fetches("GET http://identity:8080/.well-known/jwks.json", None, error="timeout"),
        valid(),
        gw.calls(orders.serves("GET /x", 200)),
    ),
    outcome="allowed",
    no_findings=["fail_open"],
)
case(
    "error-500-app",
    gw.serves("GET /api/x", 500, gw.calls(orders.serves("GET /x", 500, tag="origin", events=[exc("KeyError", "'a'")]))),
    outcome="error",
    layer="application",
    service="orders",
    span="origin",
)
case(
    "error-dep-timeout",
    rel(
        504,
        orders.serves(
            "GET /x",
            504,
            orders.check(True),
            orders.fetches("GET http://pricing:8080/p", None, error="ReadTimeout", tag="origin", dur=900),
        ),
    ),
    outcome="error",
    service="orders",
    span="origin",
    no_findings=["fail_closed"],
)
case(
    "error-third-party",
    rel(
        502,
        orders.serves(
            "POST /x", 502, orders.check(True), orders.fetches("POST https://api.carrier.example/v2/labels", 503, tag="origin")
        ),
    ),
    outcome="error",
    layer="external_service",
    service="orders",
    span="origin",
)
case(
    "idp-500-401",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            identity.serves(
                "POST /oauth2/introspect",
                500,
                identity.span("load client", status="error", tag="origin", events=[exc("NullPointerException", "x")]),
            )
        ),
    ),
    outcome="error",
    layer="identity_provider",
    service="identity",
    span="origin",
    findings=["fail_closed"],
    confidence=["high"],
)
case(
    "idp-store-down-401",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            identity.serves(
                "POST /oauth2/introspect",
                500,
                identity.sql(
                    "SELECT * FROM sessions", db="identity", error=("57P03", "the database system is starting up"), tag="origin"
                ),
            )
        ),
    ),
    outcome="error",
    layer="database",
    service="identity",
    span="origin",
    findings=["fail_closed"],
)
case(
    "session-store-refused",
    gw.serves(
        "GET /api/x",
        500,
        gw.calls(
            shop.serves(
                "GET /x",
                500,
                shop.span(
                    "auth.session_validate",
                    shop.span(
                        "GET",
                        kind="client",
                        status="error",
                        tag="origin",
                        attrs={"db.system": "redis", "db.statement": "GET sess:1"},
                        events=[exc("redis.exceptions.AuthenticationError", "invalid username-password pair")],
                    ),
                    status="error",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authn",
    service="shop",
    span="origin",
)
case(
    "check-fails-on-timeout",
    gw.serves(
        "GET /api/x",
        401,
        gw.token(
            False,
            "introspection endpoint timed out",
            gw.fetches("POST http://identity:8080/oauth2/introspect", None, error="context deadline exceeded", tag="origin"),
        ),
    ),
    outcome="error",
    layer="identity_provider",
    service="edge-gateway",
    span="origin",
    findings=["fail_closed"],
)
case(
    "silent-404-callee",
    gw.serves("GET /api/x", 403, gw.calls(docs.serves("GET /x", 403, docs.calls(users.serves("GET /members/{id}", 404))))),
    outcome="inconclusive",
    layer=None,
    span_id=None,
)
case(
    "silent-with-allow-callee",
    rel(
        403,
        docs.serves(
            "GET /x", 403, docs.calls(policy.serves("POST /v1/decide", 200, attrs={"authz.decision": "allow"})), tag="origin"
        ),
    ),
    outcome="denied",
    layer="application",
    service="docs",
    span="origin",
    confidence=["medium", "low"],
)
case(
    "db-read-then-403",
    rel(403, docs.serves("GET /x", 403, docs.sql("SELECT owner FROM docs"), tag="origin")),
    outcome="denied",
    layer="application",
    service="docs",
    span="origin",
    confidence=["medium"],
)
case(
    "jwks-then-401",
    gw.serves("GET /api/x", 401, gw.fetches("GET http://identity:8080/.well-known/jwks.json", 200), tag="origin"),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    service="edge-gateway",
    span="origin",
    confidence=["medium"],
)
case(
    "orphan-below-403",
    gw.serves(
        "GET /api/x",
        403,
        gw.calls(
            orders.serves("GET /x", 403, orders.span("handler", orders.fetches("GET http://acl:8080/rules", 200), drop=True))
        ),
    ),
    outcome="inconclusive",
    findings=["orphan_spans"],
    layer=None,
)
case(
    "named-guard",
    gw.serves(
        "GET /api/x",
        403,
        gw.calls(docs.serves("GET /x", 403, docs.span("load session"), docs.span("PermissionGuard", tag="origin"))),
    ),
    outcome="denied",
    layer="application",
    service="docs",
    span="origin",
    confidence=["medium"],
)
case(
    "named-limiter",
    gw.serves("GET /api/x", 429, gw.calls(docs.serves("GET /x", 429, docs.span("RateLimiter", tag="origin")))),
    outcome="denied",
    layer="rate_limiter",
    service="docs",
    span="origin",
    confidence=["medium", "high"],
)
case(
    "peer-grpc-7",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.rpc(
                "client",
                "crm.v1.Crm/Get",
                "PERMISSION_DENIED",
                host="crm.partner.example",
                message="key lacks scope crm.read",
                tag="origin",
            ),
        ),
    ),
    outcome="denied",
    layer="external_service",
    service="orders",
    span="origin",
    reason="crm.read",
    confidence=["medium"],
    findings=["uninstrumented_peer"],
)
case(
    "missing-known-idp",
    gw.serves("POST /api/login", 401, gw.fetches("POST http://identity:8080/login", 401, tag="origin")),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="edge-gateway",
    span="origin",
    confidence=["medium"],
)
# ---------------------------------------------------------------------------------------- which of several
case(
    "later-check-wins",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.calls(recs.serves("GET /r", 403, recs.check(False, "missing scope recs"))),
            orders.check(False, "missing role orders:read", tag="origin"),
        ),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    reason="orders:read",
)
case(
    "attempts-last",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.calls(
                inv.serves(
                    "GET /s",
                    403,
                    inv.check(False, "warehouse closed"),
                )
            ),
            orders.calls(inv.serves("GET /s", 403, inv.check(False, "warehouse closed"))),
            orders.calls(inv.serves("GET /s", 403, inv.check(False, "warehouse closed", tag="origin"))),
        ),
    ),
    outcome="denied",
    service="inventory",
    span="origin",
)
case(
    "batch-first",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            *(
                orders.span("item", orders.check(False, "no access to item", tag="origin" if i == 0 else None))
                for i in range(3)
            ),
        ),
    ),
    outcome="denied",
    service="orders",
    span="origin",
)
case(
    "batch-parallel-calls",
    rel(
        403,
        bff.serves(
            "GET /x",
            403,
            *(
                bff.calls(
                    orders.serves(
                        "GET /o/{id}",
                        403,
                        orders.check(False, "nope role", tag="origin" if i == 0 else None),
                        path=f"/o/{i}",
                    ),
                    beside=True,
                )
                for i in range(3)
            ),
        ),
    ),
    outcome="denied",
    service="orders",
    span="origin",
)
case(
    "retry-then-ok-403",
    rel(
        200,
        orders.serves(
            "GET /x",
            200,
            orders.calls(inv.serves("GET /s", 403, inv.check(False, "x"))),
            orders.calls(inv.serves("GET /s", 200, inv.check(True))),
        ),
    ),
    outcome="allowed",
    findings=["retried"],
)
case(
    "resend",
    gw.serves(
        "GET /api/x",
        200,
        gw.calls(
            bff.serves(
                "GET /x",
                200,
                bff.fetches("GET https://api.carrier.example/v1/t", 401),
                bff.fetches("POST https://login.carrier.example/oauth/token", 200),
                bff.fetches("GET https://api.carrier.example/v1/t", 200, attrs={"http.request.resend_count": 1}),
            )
        ),
    ),
    outcome="allowed",
    findings=["retried"],
)
case(
    "fanout-root-403",
    rel(
        403,
        bff.serves(
            "GET /d",
            403,
            bff.calls(orders.serves("GET /o", 200), beside=True),
            bff.calls(billing.serves("GET /i", 403, billing.check(False, "missing scope inv", tag="origin")), beside=True),
            bff.calls(recs.serves("GET /r", 200), beside=True),
        ),
    ),
    outcome="denied",
    service="billing",
    span="origin",
)
case(
    "fanout-500",
    rel(
        500,
        bff.serves(
            "GET /d",
            500,
            bff.calls(orders.serves("GET /o", 200), beside=True),
            bff.calls(billing.serves("GET /i", 403, billing.check(False, "missing scope inv", tag="origin")), beside=True),
            events=[exc("Error", "Request failed with status code 403")],
        ),
    ),
    outcome="denied",
    service="billing",
    span="origin",
    findings=["status_rewritten"],
)
case(
    "tolerated-then-other-failure",
    rel(
        500,
        bff.serves(
            "GET /d",
            500,
            bff.calls(recs.serves("GET /r", 403, recs.check(False, "x"))),
            bff.calls(orders.serves("GET /o", 500, tag="origin", events=[exc("KeyError", "k")])),
        ),
    ),
    outcome="error",
    service="orders",
    span="origin",
    layer="application",
)
# ---------------------------------------------------------------------------------------- tolerated, and later
cons = Svc("ledger-worker", "python")
AIO = "opentelemetry.instrumentation.aiokafka"
case(
    "accepted-then-refused",
    gw.serves(
        "POST /api/refunds",
        202,
        valid(),
        gw.calls(
            orders.serves(
                "POST /refunds",
                202,
                orders.check(True),
                orders.message(
                    "producer",
                    "kafka",
                    "refunds",
                    cons.message(
                        "consumer",
                        "kafka",
                        "refunds",
                        cons.check(False, "refund exceeds limit", tag="origin"),
                        status="error",
                        later=500,
                        scope=AIO,
                    ),
                    scope=AIO,
                ),
            )
        ),
    ),
    outcome="partially_denied",
    layer="application",
    service="ledger-worker",
    span="origin",
    entry_status=202,
)
case(
    "consumer-linked",
    gw.serves(
        "POST /api/refunds",
        202,
        valid(),
        gw.calls(orders.serves("POST /refunds", 202, orders.message("producer", "kafka", "refunds", scope=AIO, tag="p"))),
    ),
    cons.message(
        "consumer",
        "kafka",
        "refunds",
        cons.check(False, "refund exceeds limit", tag="origin"),
        status="error",
        start=900,
        scope=AIO,
        links=["p"],
    ),
    outcome="partially_denied",
    service="ledger-worker",
    span="origin",
)
case(
    "consumer-write-after",
    cons.message(
        "consumer",
        "kafka",
        "refunds",
        cons.check(False, "over limit", tag="origin"),
        cons.sql("INSERT INTO ledger (a) VALUES (1)", table="ledger"),
        scope=AIO,
    ),
    outcome="bypassed",
    layer="application",
    service="ledger-worker",
    span="origin",
    findings=["side_effect_after_denial", "fail_open"],
)
case(
    "consumer-unset",
    cons.message("consumer", "kafka", "refunds", cons.check(False, "over limit", tag="origin", status="unset"), scope=AIO),
    outcome="denied",
    service="ledger-worker",
    span="origin",
)
case(
    "consumer-dlq",
    cons.message(
        "consumer",
        "kafka",
        "refunds",
        cons.check(False, "over limit", tag="origin"),
        cons.message("producer", "kafka", "refunds.dlq", scope=AIO),
        scope=AIO,
    ),
    outcome="denied",
    service="ledger-worker",
    span="origin",
    no_findings=["side_effect_after_denial", "fail_open"],
    side_effects=[["audit", "after_denial"]],
)
case(
    "optional-part",
    rel(
        200,
        orders.serves(
            "GET /x",
            200,
            orders.sql("SELECT * FROM orders"),
            orders.calls(recs.serves("GET /r", 403, recs.check(False, "missing scope recs", tag="origin"))),
        ),
    ),
    outcome="partially_denied",
    service="recommendations",
    span="origin",
    no_findings=["fail_open"],
)
case(
    "gateway-token-ignored",
    gw.serves(
        "GET /api/x",
        200,
        gw.token(False, "token is expired", tag="origin"),
        gw.calls(orders.serves("GET /x", 200, orders.sql("SELECT 1"))),
    ),
    outcome="bypassed",
    layer="api_gateway",
    phase="authn",
    service="edge-gateway",
    span="origin",
    findings=["fail_open"],
)
case(
    "pdp-no-message",
    rel(
        204,
        docs.serves(
            "DELETE /x",
            204,
            docs.calls(policy.serves("POST /v1/decide", 200, tag="origin", attrs={"authz.decision": "deny"})),
            docs.fetches("DELETE https://store.vendor.example/d/1", 204),
        ),
    ),
    outcome="bypassed",
    layer="policy_engine",
    service="policy",
    span="origin",
    side_effects=[["http_write", "after_denial"]],
)
case(
    "probe-pdp-many",
    rel(
        200,
        docs.serves(
            "GET /list",
            200,
            docs.sql("SELECT id FROM docs"),
            *(
                docs.calls(policy.serves("POST /v1/decide", 200, attrs={"authz.decision": "allow" if i % 2 else "deny"}))
                for i in range(4)
            ),
        ),
    ),
    outcome="allowed",
    layer=None,
    no_findings=["fail_open"],
)
case(
    "probe-openfga",
    rel(
        200,
        docs.serves(
            "GET /list",
            200,
            *(
                docs.asks(
                    fga.answers(
                        "openfga.v1.OpenFGAService/Check",
                        "OK",
                        openfga(fga, "Check", allowed=bool(i % 2), user="u", relation="r", object=f"d:{i}"),
                    )
                )
                for i in range(4)
            ),
        ),
    ),
    outcome="allowed",
    layer=None,
)
case(
    "probe-single-route",
    rel(200, orders.serves("GET /me/permissions", 200, orders.check(False, "missing role refund"), path="/me/permissions")),
    outcome="allowed",
)
case(
    "masked-200",
    rel(200, orders.serves("POST /rpc", 200, orders.check(False, "missing role orders:write", tag="origin"))),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["masked_denial"],
    entry_status=200,
)
case(
    "masked-404-fga",
    rel(
        404,
        docs.serves(
            "GET /x",
            404,
            docs.asks(
                fga.answers(
                    "openfga.v1.OpenFGAService/Check",
                    "OK",
                    openfga(fga, "Check", allowed=False, user="u", relation="r", object="d", tag="origin"),
                )
            ),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="openfga",
    span="origin",
    findings=["masked_denial"],
    enforced_by="docs",
)
case(
    "404-after-opa",
    rel(404, docs.serves("GET /x", 404, docs.fetches("POST http://opa:8181/v1/data/docs/allow", 200), docs.sql("SELECT 1"))),
    outcome="allowed",
    layer=None,
)
case(
    "child403-404",
    rel(404, docs.serves("GET /x", 404, docs.calls(inv.serves("GET /s", 403, inv.check(False, "x role", tag="origin"))))),
    outcome="denied",
    service="inventory",
    span="origin",
    findings=["masked_denial"],
)
# ---------------------------------------------------------------------------------------- phases and conflicts
case(
    "bad-signature-in-permission",
    rel(403, orders.serves("GET /x", 403, orders.check(False, "token signature does not verify", tag="origin"))),
    outcome="denied",
    layer="application",
    phase="authn",
    service="orders",
    span="origin",
)
case(
    "csrf",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.span(
                "csrf.check", tag="origin", attrs={"auth.result": "failure", "auth.failure_reason": "CSRF token mismatch"}
            ),
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="orders",
    span="origin",
)
case(
    "policy-drift",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.check(True),
            orders.sql("INSERT INTO t VALUES (1)", error=("42501", "permission denied for table t"), tag="origin"),
        ),
    ),
    outcome="denied",
    layer="database",
    service="orders",
    span="origin",
    layers=[["application", "allow"], ["database", "deny"]],
    no_findings=["status_rewritten"],
)
case(
    "expired-in-flight",
    rel(
        401,
        orders.serves(
            "GET /x", 401, orders.calls(billing.serves("GET /b", 401, billing.token(False, "jwt expired", tag="origin")))
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="billing",
    span="origin",
)
case(
    "forged-baggage",
    gw.serves(
        "GET /api/x",
        403,
        valid(),
        gw.calls(
            orders.serves(
                "GET /x",
                403,
                orders.check(False, "missing role x", tag="origin"),
                attrs={"auth.decision": "allow", "auth.subject": "admin"},
            ),
            attrs={"auth.decision": "allow", "auth.subject": "admin"},
        ),
        attrs={"auth.decision": "allow", "auth.subject": "admin"},
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    confidence=["high"],
)
case("shadow-policy-attr", rel(200, orders.serves("GET /x", 200, orders.check(True))), outcome="allowed", confidence=["high"])
case(
    "client-abort",
    gw.serves("GET /api/x", 499, valid(), gw.fetches("GET http://orders:8080/x", None, error="context canceled", tag="origin")),
    outcome="error",
    no_findings=["fail_closed"],
)
case(
    "preflight",
    gw.serves("OPTIONS /api/x", 401, tag="origin"),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    span="origin",
)
case(
    "cached-decision",
    rel(403, docs.serves("GET /x", 403, tag="origin")),
    outcome="denied",
    layer="application",
    service="docs",
    span="origin",
    confidence=["medium", "low"],
)
case("451", rel(451, docs.serves("GET /x", 451)), outcome="allowed")
case(
    "server-two",
    rel(
        200,
        orders.serves(
            "GET /x",
            200,
            orders.fetches(
                "GET http://inventory:8080/s", 200, inv.serves("GET /s", 503), inv.serves("GET /s", 200, inv.check(True))
            ),
        ),
    ),
    outcome="allowed",
)
case(
    "server-two-denied",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.fetches(
                "GET http://inventory:8080/s",
                403,
                inv.serves("GET /s", 503),
                inv.serves("GET /s", 403, inv.check(False, "no role", tag="origin")),
            ),
        ),
    ),
    outcome="denied",
    service="inventory",
    span="origin",
)
# ---------------------------------------------------------------------------------------- side effects
case(
    "rolled-back",
    rel(
        403,
        orders.serves(
            "POST /x", 403, orders.sql("BEGIN"), ins(), orders.check(False, "limit role", tag="origin"), orders.sql("ROLLBACK")
        ),
    ),
    outcome="denied",
    span="origin",
    no_findings=["side_effect_before_denial", "side_effect_after_denial"],
    side_effects=[["db_write", "before_denial"]],
)
case(
    "audit-after",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.check(False, "nope role", tag="origin"),
            orders.sql("INSERT INTO audit_log (a) VALUES (1)", table="audit_log"),
        ),
    ),
    outcome="denied",
    span="origin",
    no_findings=["side_effect_after_denial"],
    side_effects=[["audit", "after_denial"]],
)
case(
    "message-after-403",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.check(False, "nope role", tag="origin"),
            orders.message("producer", "kafka", "orders.submitted"),
        ),
    ),
    outcome="denied",
    span="origin",
    findings=["side_effect_after_denial"],
    side_effects=[["message", "after_denial"]],
)
case(
    "http-write-before",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.fetches("POST https://api.carrier.example/v1/labels", 201),
            orders.check(False, "nope role", tag="origin"),
        ),
    ),
    outcome="denied",
    span="origin",
    findings=["side_effect_before_denial", "uninstrumented_peer"],
    side_effects=[["http_write", "before_denial"]],
)
case(
    "mail-before",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.fetches("POST https://api.sendgrid.com/v3/mail/send", 202),
            orders.check(False, "nope role", tag="origin"),
        ),
    ),
    side_effects=[["mail", "before_denial"]],
    outcome="denied",
    span="origin",
    findings=["side_effect_before_denial"],
)
case(
    "cache-before",
    rel(
        403,
        orders.serves(
            "POST /x",
            403,
            orders.span("SET", kind="client", attrs={"db.system": "redis", "db.statement": "SET cart:17 x"}),
            orders.check(False, "nope role", tag="origin"),
        ),
    ),
    side_effects=[["cache_write", "before_denial"]],
    outcome="denied",
    span="origin",
    findings=["side_effect_before_denial"],
)
case(
    "s3-put-before",
    rel(403, shop.serves("POST /x", 403, aws(shop, "S3", "PutObject", 200), shop.check(False, "nope role", tag="origin"))),
    side_effects=[["object_write", "before_denial"]],
    outcome="denied",
    span="origin",
    findings=["side_effect_before_denial"],
)
case(
    "no-denial-effects",
    rel(201, orders.serves("POST /x", 201, orders.check(True), ins())),
    outcome="allowed",
    side_effects=[["db_write", "no_denial"]],
)
# ---------------------------------------------------------------------------------------- damage
case(
    "root-lost",
    gw.serves(
        "GET /api/x",
        403,
        valid(),
        gw.calls(orders.serves("GET /x", 403, orders.check(False, "nope role", tag="origin"))),
        drop=True,
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    confidence=["medium", "low"],
    findings=["orphan_spans"],
)
case(
    "check-orphan",
    gw.serves(
        "GET /api/x",
        403,
        valid(),
        gw.calls(
            orders.serves("GET /x", 403, orders.span("handler", orders.check(False, "nope role", tag="origin"), drop=True))
        ),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    confidence=["medium", "low"],
    findings=["orphan_spans"],
)
case(
    "lone-inner",
    orders.serves("GET /orders/{id}", 403, tag="origin"),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["broken_propagation"],
    confidence=["medium", "low"],
)
case(
    "cycle",
    gw.serves(
        "GET /api/x",
        403,
        valid(),
        gw.calls(orders.serves("GET /x", 403, orders.check(False, "nope role", tag="origin"))),
        tag="r",
        parent="origin",
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["parent_cycle"],
)
case(
    "skew-behind",
    rel(
        403,
        orders.serves("GET /x", 403, orders.check(False, "nope role", tag="origin"), orders.message("producer", "kafka", "t")),
    ),
    skew={"orders": -700},
    outcome="denied",
    service="orders",
    span="origin",
    findings=["clock_skew", "side_effect_after_denial"],
)
case(
    "slow-login-no",
    gw.serves("POST /login", 200, gw.calls(identity.serves("POST /login", 200, identity.login(True, dur=2500)))),
    outcome="allowed",
    no_findings=["slow_auth"],
)
case(
    "secret-query",
    rel(403, orders.serves("GET /x", 403, orders.check(False, "nope role; token=abcd1234efgh5678", tag="origin"))),
    outcome="denied",
    span="origin",
    absent=["abcd1234efgh5678"],
    findings=["secret_in_attributes"],
)
case(
    "opaque-id-no-pii",
    gw.serves(
        "GET /api/x",
        403,
        gw.token(True, attrs={"auth.subject": "8f14e45f-ceea-467f-a34e-2c4b8a5d3f11"}),
        gw.calls(orders.serves("GET /x", 403, orders.check(False, "nope role", tag="origin"))),
    ),
    outcome="denied",
    span="origin",
    no_findings=["pii_in_attributes", "secret_in_attributes"],
)
case(
    "browser-root-many",
    S(
        "web-frontend",
        "click pay",
        "internal",
        children=[
            Svc("web-frontend", "web").fetches(
                "GET https://shop.example/api/x", 401, gw.serves("GET /api/x", 401, gw.token(False, "token is expired"))
            ),
            Svc("web-frontend", "web").fetches("POST https://shop.example/api/token", 200, gw.serves("POST /api/token", 200)),
            Svc("web-frontend", "web").fetches(
                "GET https://shop.example/api/x", 200, gw.serves("GET /api/x", 200, gw.token(True))
            ),
        ],
        resource={"telemetry.sdk.language": "webjs"},
    ),
    outcome="allowed",
    findings=["retried"],
)
case(
    "zipkin-like-two-roots-retry",
    gw.serves("GET /api/x", 401, gw.token(False, "token is expired"), start=0, dur=5),
    gw.serves("GET /api/x", 200, gw.token(True), start=30, dur=5),
    outcome="allowed",
    findings=["retried", "multiple_roots"],
)
case(
    "late-background",
    rel(
        200,
        orders.serves(
            "POST /x",
            200,
            orders.check(True),
            orders.span("send report", orders.check(False, "nope role reports", tag="origin"), later=300),
        ),
    ),
    outcome=["partially_denied", "allowed"],
)
case(
    "self-refusing-limits",
    gw.serves("GET /api/x", 503, gw.calls(Svc("q", "go").serves("GET /x", 503, tag="origin"))),
    outcome="error",
    service="q",
    span="origin",
)
case(
    "fail-closed-500",
    rel(
        500,
        orders.serves(
            "GET /x", 500, orders.fetches("POST http://opa:8181/v1/data/x/allow", None, error="ReadTimeout", tag="origin")
        ),
    ),
    outcome="error",
    layer="policy_engine",
    service="orders",
    span="origin",
    no_findings=["fail_closed"],
)
case(
    "ordinary-failure-then-403",
    rel(
        403,
        orders.serves("GET /x", 403, orders.fetches("GET http://memberships:8080/m", None, error="ConnectError", tag="origin")),
    ),
    outcome="error",
    span="origin",
    findings=["fail_closed"],
)
case(
    "two-checks-and-own",
    rel(403, orders.serves("GET /x", 403, orders.token(True), orders.check(False, "not the owner", tag="origin"))),
    outcome="denied",
    phase="authz",
    service="orders",
    span="origin",
    layers=[["api_gateway", "allow"], ["application", "allow"], ["application", "deny"]],
)
case(
    "mesh-before-app",
    gw.serves(
        "GET /api/x",
        403,
        gw.fetches(
            "GET http://reviews:9080/x",
            403,
            envoy(
                Svc("reviews.shop"),
                "server",
                403,
                Svc("reviews", "go").serves("GET /x", 403, Svc("reviews", "go").check(False, "no role", tag="origin")),
                to="inbound|9080||",
            ),
        ),
    ),
    outcome="denied",
    layer="application",
    service="reviews",
    span="origin",
    findings=["relayed_by"],
    enforced_by="reviews",
)
case(
    "user-service-check-for-others",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.calls(
                Svc("members", "go").serves(
                    "GET /membership/{id}", 200, Svc("members", "go").check(False, "not a member of team 7", tag="origin")
                )
            ),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="members",
    span="origin",
    enforced_by="orders",
)
