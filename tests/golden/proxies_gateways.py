"""Labelled traces of conventions, proxies, gateways and the edge: topologies and spellings beside those of shop.py."""

from golden.drawing import case
from golden.kit import (
    Svc,
    envoy,
    exc,
    graphql,
    kong,
)

gw = Svc("edge-gateway", "go")
bff = Svc("web-bff", "node")
orders = Svc("orders", "python")
billing = Svc("billing", "node")
inv = Svc("inventory", "java", old=True)
identity = Svc("identity", "java")
policy = Svc("policy", "go", port=8181)
docs = Svc("docs", "go")
catalog = Svc("catalog", "go", old=True)
shop = Svc("shop", "flask")
opa = Svc("opa", "go", port=8181)
MAL = {"auth.subject": "mallory"}


def valid(sub="mallory", **kw):
    return gw.token(True, attrs={"auth.subject": sub}, **kw)


FGA = Svc("openfga", port=8081)

# ---------------------------------------------------------------------------------------- conventions
case(
    "monolith-check",
    shop.serves("GET /admin", 403, shop.sql("SELECT 1"), shop.check(False, "not an admin", tag="origin"), ip="203.0.113.9"),
    outcome="denied",
    layer="application",
    phase="authz",
    service="shop",
    span="origin",
    confidence=["high"],
    client_address="203.0.113.9",
    enforced_by="shop",
    entry_status=403,
)
case(
    "entry-app-own-token",
    Svc("storefront", "node").serves(
        "GET /account", 401, Svc("storefront", "node").token(False, "token is expired", tag="origin")
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="storefront",
    span="origin",
)
case(
    "entry-forwards",
    Svc("shop-api", "node").serves(
        "GET /api/cart",
        403,
        Svc("shop-api", "node").token(True),
        Svc("shop-api", "node").check(False, "missing role cart:read", tag="origin"),
    ),
    outcome="denied",
    layer="application",
    service="shop-api",
    span="origin",
)
fe = Svc("front", "node")
case(
    "entry-forwards-2",
    fe.serves(
        "GET /api/cart",
        200,
        fe.token(True, attrs={"auth.subject": "bob"}),
        fe.calls(Svc("cart", "go").serves("GET /cart", 200)),
    ),
    outcome="allowed",
    layers=[["api_gateway", "allow"]],
    confidence=["high"],
)
case(
    "variant-allowed-false",
    gw.serves(
        "GET /api/orders/{id}",
        403,
        gw.calls(
            orders.serves(
                "GET /orders/{id}",
                403,
                orders.span(
                    "authorize",
                    tag="origin",
                    attrs={"authz.allowed": False, "authz.policy.name": "orders.read", "user.id": "u-881"},
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    phase="authz",
    principal="u-881",
    confidence=["high"],
)
opas = opa.serves("POST /v1/data/{path:.+}", 200, path="/v1/data/orders/allow", tag="origin", attrs={"opa.decision_id": "5f1"})
case(
    "opa-decision-on-asker",
    gw.serves(
        "GET /api/orders/{id}",
        403,
        valid(),
        gw.calls(
            orders.serves(
                "GET /orders/{id}",
                403,
                orders.span("authorize", orders.calls(opas), attrs={"opa.decision": "deny", "opa.reason": "not a manager"}),
            )
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="opa",
    span="origin",
    phase="authz",
    enforced_by="orders",
)
case(
    "authorization-granted",
    gw.serves(
        "GET /api/orders/{id}",
        403,
        gw.calls(
            orders.serves(
                "GET /orders/{id}",
                403,
                tag="origin",
                attrs={"authorization.granted": "false", "authorization.reason": "not in group finance"},
            )
        ),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    reason="finance",
    confidence=["high"],
)
case(
    "payment-declined",
    gw.serves(
        "POST /api/pay",
        402,
        valid("bob"),
        gw.calls(
            billing.serves(
                "POST /pay",
                402,
                billing.span(
                    "authorize payment",
                    attrs={
                        "authorization.id": "A1",
                        "authorization.result": "declined",
                        "authorization.declined_reason": "insufficient_funds",
                    },
                ),
            )
        ),
    ),
    outcome="allowed",
    layer=None,
    span_id=None,
)
case(
    "payment-declined-no-auth",
    gw.serves(
        "POST /api/pay",
        402,
        gw.calls(
            billing.serves(
                "POST /pay",
                402,
                billing.span("authorize payment", attrs={"authorization.id": "A1", "authorization.result": "declined"}),
            )
        ),
    ),
    outcome="no_auth_evidence",
    layer=None,
    span_id=None,
)
case(
    "code-440",
    gw.serves("GET /api/x", 440, gw.calls(shop.serves("GET /x", 440, tag="origin"))),
    outcome="denied",
    layer="application",
    phase="authn",
    service="shop",
    span="origin",
)
case(
    "redirect-no-signal",
    gw.serves(
        "GET /account",
        302,
        gw.calls(
            shop.serves(
                "GET /account",
                302,
                tag="origin",
                attrs={"http.response.header.location": ["https://login.shop.example/oauth2/authorize?client_id=x"]},
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="shop",
    span="origin",
    findings=["masked_denial"],
)
case(
    "redirect-plain-200",
    gw.serves(
        "POST /orders",
        303,
        valid("bob"),
        gw.calls(
            shop.serves(
                "POST /orders",
                303,
                shop.sql("INSERT INTO orders VALUES (1)"),
                attrs={"http.response.header.location": ["/orders/5"]},
            )
        ),
    ),
    outcome="allowed",
    layer=None,
)
ledger = Svc("ledger", "node")
case(
    "grpc-16-node",
    gw.serves(
        "GET /api/l",
        401,
        gw.rpc(
            "client",
            "ledger.v1.Ledger/Get",
            "UNAUTHENTICATED",
            ledger.answers(
                "ledger.v1.Ledger/Get",
                "UNAUTHENTICATED",
                tag="origin",
                status="error",
                attrs={"grpc.error_message": "16 UNAUTHENTICATED: token expired"},
            ),
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="ledger",
    span="origin",
    reason="token expired",
    findings=["relayed_by"],
)
pyl = Svc("pyledger", "python")
case(
    "grpc-python-details",
    gw.serves(
        "GET /api/l",
        403,
        gw.calls(
            Svc("pybff", "python").serves(
                "GET /l",
                403,
                Svc("pybff", "python").asks(
                    pyl.answers("ledger.v1.Ledger/Get", "PERMISSION_DENIED", tag="origin", events=[exc("Exception", "")]),
                    message="_InactiveRpcError: <_InactiveRpcError of RPC that terminated with:\n\tstatus = "
                    'StatusCode.PERMISSION_DENIED\n\tdetails = "caller lacks role ledger.viewer"\n>',
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authz",
    service="pyledger",
    span="origin",
    reason="caller lacks role ledger.viewer",
    enforced_by="pyledger",
)
case(
    "grpc-entry",
    ledger.answers("ledger.v1.Ledger/Get", "PERMISSION_DENIED", ledger.check(False, "missing role", tag="origin")),
    outcome="denied",
    layer="application",
    service="ledger",
    span="origin",
    entry_status=7,
)
case(
    "grpc-exhausted",
    gw.serves(
        "GET /api/l",
        429,
        gw.asks(ledger.answers("ledger.v1.Ledger/Get", "RESOURCE_EXHAUSTED", tag="origin"), message="quota exceeded"),
    ),
    outcome="denied",
    layer="rate_limiter",
    service="ledger",
    span="origin",
)
case(
    "grpc-16-to-500",
    gw.serves(
        "GET /api/l",
        500,
        gw.asks(ledger.answers("ledger.v1.Ledger/Get", "UNAUTHENTICATED", tag="origin"), message="token expired"),
    ),
    outcome="denied",
    layer="application",
    service="ledger",
    span="origin",
    phase="authn",
    findings=["status_rewritten"],
)
graph = Svc("graph-api", "node")
case(
    "graphql-partial",
    gw.serves(
        "POST /graphql",
        200,
        valid(),
        gw.calls(
            graph.serves(
                "POST /graphql",
                200,
                graphql(
                    graph,
                    "graphql.execute",
                    graphql(graph, "graphql.resolve me", attrs={"graphql.field.path": "me"}),
                    graphql(
                        graph,
                        "graphql.resolve payroll",
                        tag="origin",
                        status="error",
                        message="Forbidden",
                        events=[exc("GraphQLError", "Forbidden")],
                        attrs={"graphql.field.path": "payroll"},
                    ),
                    attrs={"graphql.operation.type": "query"},
                ),
            )
        ),
    ),
    outcome="partially_denied",
    layer="application",
    service="graph-api",
    span="origin",
    phase="authz",
)
gj = Svc("gql-java", "java")
case(
    "graphql-java",
    gw.serves(
        "POST /graphql",
        200,
        gw.calls(
            gj.serves(
                "POST /graphql",
                200,
                gj.span(
                    "query Payroll",
                    tag="origin",
                    scope="io.opentelemetry.graphql-java-20.0",
                    status="error",
                    attrs={"graphql.operation.type": "query"},
                    events=[exc("AccessDeniedException", "Access is denied")],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    service="gql-java",
    span="origin",
    findings=["masked_denial"],
)
case(
    "graphql-fault",
    gw.serves(
        "POST /graphql",
        200,
        valid(),
        gw.calls(
            graph.serves(
                "POST /graphql",
                200,
                graphql(
                    graph,
                    "graphql.execute",
                    graphql(
                        graph,
                        "graphql.resolve x",
                        status="error",
                        message="Cannot read properties of undefined",
                        events=[exc("GraphQLError", "Cannot read properties of undefined")],
                    ),
                ),
            )
        ),
    ),
    outcome=["allowed", "error"],
    no_findings=["masked_denial", "fail_open"],
)

# ---------------------------------------------------------------------------------------- Envoy and Istio
ing = Svc("ingress.shop", host="api.shop.example")


def extgrpc(svc, est, *kids, tag=None, status="unset", **m):
    return svc.span(
        "async envoy.service.auth.v3.Authorization.Check egress",
        *kids,
        kind="client",
        scope="envoy",
        tag=tag,
        status=status,
        attrs={
            "component": "proxy",
            "upstream_cluster": "ext-authz",
            "upstream_cluster.name": "ext-authz",
            "grpc.status_code": "0",
            **({"ext_authz_status": est} if est else {}),
            **m,
        },
    )


case(
    "extauthz-grpc-deny-opa",
    envoy(
        ing,
        "server",
        403,
        extgrpc(ing, "ext_authz_unauthorized", opa.answers("envoy.service.auth.v3.Authorization/Check", "OK", tag="origin")),
        to="outbound|8080||orders",
        flags="UAEX",
    ),
    outcome="denied",
    layer="policy_engine",
    phase="authz",
    service="opa",
    span="origin",
    enforced_by="ingress.shop",
    confidence=["high"],
)
case(
    "extauthz-grpc-deny-nospans",
    envoy(ing, "server", 403, extgrpc(ing, "ext_authz_unauthorized", tag="origin"), to="outbound|8080||orders", flags="UAEX"),
    outcome="denied",
    layer="policy_engine",
    service="ingress.shop",
    span="origin",
    confidence=["high"],
)
case(
    "extauthz-grpc-allow",
    envoy(
        ing,
        "server",
        200,
        extgrpc(ing, "ext_authz_ok", opa.answers("envoy.service.auth.v3.Authorization/Check", "OK")),
        orders.serves("GET /orders", 200),
        to="outbound|8080||orders",
    ),
    outcome="allowed",
    layers=[["policy_engine", "allow"]],
    confidence=["high"],
)
case(
    "extauthz-error-closed",
    envoy(
        ing,
        "server",
        403,
        extgrpc(ing, "ext_authz_error", tag="origin", status="error", **{"grpc.status_code": "14"}),
        to="outbound|8080||orders",
        flags="UAEX",
    ),
    outcome="error",
    layer="policy_engine",
    span="origin",
    findings=["fail_closed"],
    entry_status=403,
)
case(
    "extauthz-error-open",
    envoy(
        ing,
        "server",
        200,
        extgrpc(ing, None, tag="origin", status="error", **{"grpc.status_code": "14"}),
        orders.serves("GET /orders", 200),
        to="outbound|8080||orders",
    ),
    outcome="allowed",
    layer=None,
    findings=["fail_open"],
)


def exthttp(svc, status, code, phrase, *kids, flags="-", tag=None):
    return svc.span(
        "async authz egress",
        *kids,
        kind="client",
        scope="envoy",
        tag=tag,
        status="error" if code >= 400 else "unset",
        attrs={
            "component": "proxy",
            "http.method": "GET",
            "http.status_code": str(code),
            "ext_authz_status": status,
            "ext_authz_http_status": phrase,
            "upstream_cluster": "authz",
            "upstream_cluster.name": "authz",
            "response_flags": flags,
        },
    )


case(
    "extauthz-http-deny",
    envoy(
        ing,
        "server",
        403,
        exthttp(ing, "ext_authz_unauthorized", 403, "Forbidden", tag="origin"),
        to="outbound|8080||orders",
        flags="UAEX",
    ),
    outcome="denied",
    layer="policy_engine",
    span="origin",
    service="ingress.shop",
)
case(
    "extauthz-http-dead-closed",
    envoy(
        ing,
        "server",
        403,
        exthttp(ing, "ext_authz_unauthorized", 503, "Service Unavailable", flags="UF", tag="origin"),
        to="outbound|8080||orders",
        flags="UAEX",
    ),
    outcome="error",
    layer="policy_engine",
    span="origin",
    findings=["fail_closed"],
)
case(
    "extauthz-http-dead-open",
    envoy(
        ing,
        "server",
        200,
        exthttp(ing, "ext_authz_unauthorized", 503, "Service Unavailable", flags="UF"),
        orders.serves("GET /orders", 200),
        to="outbound|8080||orders",
    ),
    outcome="allowed",
    layer=None,
    findings=["fail_open"],
)
case(
    "uaex-alone",
    envoy(ing, "server", 403, to="outbound|8080||orders", flags="UAEX", tag="origin"),
    outcome="denied",
    layer="policy_engine",
    span="origin",
    confidence=["medium", "low"],
)
case(
    "rbac-on-ingress",
    envoy(
        ing,
        "server",
        403,
        tag="origin",
        to="outbound|8080||orders",
        more={"response_code_details": "rbac_access_denied_matched_policy[none]"},
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authz",
    service="ingress.shop",
    span="origin",
    confidence=["high"],
)
case(
    "jwt-missing-ingress",
    envoy(
        ing, "server", 401, tag="origin", to="outbound|8080||orders", more={"rcd": "jwt_authn_access_denied{Jwt_is_missing}"}
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    service="ingress.shop",
    span="origin",
    reason="Jwt_is_missing",
    confidence=["high"],
)
case(
    "jwt-sidecar",
    gw.serves(
        "GET /api/x",
        401,
        gw.fetches(
            "GET http://reviews:9080/x",
            401,
            envoy(
                Svc("reviews.shop"),
                "server",
                401,
                tag="origin",
                to="inbound|9080||",
                more={"response_code_details": "jwt_authn_access_denied{Jwt_is_expired}"},
            ),
        ),
    ),
    outcome="denied",
    layer="service_mesh",
    phase="authn",
    service="reviews.shop",
    span="origin",
)
case(
    "jwt-aud-403",
    envoy(
        ing,
        "server",
        403,
        tag="origin",
        to="outbound|8080||orders",
        more={"response_code_details": "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}"},
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    span="origin",
)
case(
    "envoy-plain-401",
    envoy(ing, "server", 401, tag="origin", to="outbound|8080||orders"),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    span="origin",
    confidence=["medium"],
)
case(
    "envoy-relay",
    envoy(
        ing,
        "server",
        403,
        orders.serves("GET /orders", 403, orders.check(False, "missing role x", tag="origin")),
        to="outbound|8080||orders",
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["relayed_by"],
    enforced_by="orders",
)
case(
    "grpc-local-reply",
    gw.serves(
        "GET /api/x",
        403,
        gw.rpc(
            "client",
            "r.R/G",
            "PERMISSION_DENIED",
            envoy(
                Svc("reviews.shop"),
                "server",
                200,
                tag="origin",
                to="inbound|9080||",
                more={"grpc.status_code": "7", "grpc.message": "RBAC: access denied"},
            ),
        ),
    ),
    outcome="denied",
    layer="service_mesh",
    phase="authz",
    service="reviews.shop",
    span="origin",
    reason="RBAC",
)
case(
    "envoy-local-rl",
    envoy(
        ing,
        "server",
        429,
        tag="origin",
        to="outbound|8080||orders",
        flags="RL",
        more={"response_code_details": "local_rate_limited"},
    ),
    outcome="denied",
    layer="rate_limiter",
    span="origin",
    service="ingress.shop",
    entry_status=429,
)
case(
    "envoy-global-rl",
    envoy(
        ing,
        "server",
        429,
        ing.span(
            "async envoy.service.ratelimit.v3.RateLimitService.ShouldRateLimit egress",
            kind="client",
            scope="envoy",
            tag="origin",
            attrs={"component": "proxy", "ratelimit_status": "over_limit", "grpc.status_code": "0"},
        ),
        to="outbound|8080||orders",
        flags="RL",
    ),
    outcome="denied",
    layer="rate_limiter",
    span="origin",
)
case(
    "envoy-rlse-open",
    envoy(
        ing,
        "server",
        200,
        ing.span(
            "async envoy.service.ratelimit.v3.RateLimitService.ShouldRateLimit egress",
            kind="client",
            scope="envoy",
            status="error",
            attrs={"component": "proxy", "grpc.status_code": "14"},
        ),
        orders.serves("GET /orders", 200, orders.check(True)),
        to="outbound|8080||orders",
        flags="RLSE",
    ),
    outcome="allowed",
    layer=None,
    findings=["fail_open"],
)
case(
    "mesh-l4",
    gw.serves(
        "GET /api/x",
        503,
        gw.fetches(
            "GET http://reviews:9080/x",
            503,
            envoy(
                Svc("edge-gateway.shop"),
                "client",
                503,
                tag="origin",
                to="outbound|9080||reviews.shop.svc.cluster.local",
                flags="UC",
            ),
        ),
    ),
    outcome="error",
    layer="service_mesh",
    service="edge-gateway.shop",
    span="origin",
    confidence=["low"],
)
# ---------------------------------------------------------------------------------------- gateways
kongs = Svc("kong", host="api.shop.example")
for p, code, layer, phase in (
    ("acl", 403, "api_gateway", "authz"),
    ("ip-restriction", 403, "edge_waf", "authz"),
    ("bot-detection", 403, "edge_waf", "authz"),
    ("key-auth", 401, "api_gateway", "authn"),
    ("acl", 401, "api_gateway", "authn"),
    ("opa", 403, "policy_engine", "authz"),
):
    case(
        f"kong-{p}-{code}",
        kong(kongs, code, "cors", p),
        outcome="denied",
        layer=layer,
        phase=phase,
        service="kong",
        span="plugin",
        entry_status=code,
        client_address="198.51.100.14",
        confidence=["medium", "high"],
    )
case(
    "kong-relay",
    kong(
        kongs,
        403,
        "key-auth",
        "rate-limiting",
        upstream=orders.serves("GET /orders", 403, orders.check(False, "nope role", tag="origin")),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["relayed_by"],
    layers=[["api_gateway", "allow"], ["application", "deny"]],
)
case(
    "kong-ok",
    kong(kongs, 200, "key-auth", upstream=orders.serves("GET /orders", 200)),
    outcome="allowed",
    layers=[["api_gateway", "allow"]],
)
tr = Svc("traefik", "go")
TS = "github.com/traefik/traefik"
case(
    "traefik-basic",
    tr.serves(
        "GET",
        401,
        tag="origin",
        status="error",
        message="Authentication failed",
        path="/",
        scope=TS,
        attrs={"entry_point": "web"},
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    service="traefik",
    span="origin",
    confidence=["high"],
)
auth = Svc("auth-server", "go")
case(
    "traefik-forward-spans",
    tr.serves(
        "GET",
        401,
        tr.span(
            "ForwardAuth",
            tr.fetches(
                "GET http://auth-server:8080/verify",
                None,
                auth.serves("GET /verify", 401, auth.token(False, "token is expired", tag="origin")),
                name="AuthRequest",
                scope=TS,
            ),
            scope=TS,
        ),
        path="/x",
        scope=TS,
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="auth-server",
    span="origin",
    enforced_by="traefik",
)
case(
    "traefik-forward-nospans",
    tr.serves(
        "GET",
        401,
        tr.span(
            "ForwardAuth",
            tr.fetches("GET http://auth-server:8080/verify", 401, name="AuthRequest", scope=TS, tag="origin"),
            scope=TS,
        ),
        path="/x",
        scope=TS,
    ),
    outcome="denied",
    layer=["api_gateway", "identity_provider"],
    phase="authn",
    service="traefik",
    span="origin",
)
case(
    "traefik-forward-ok",
    tr.serves(
        "GET",
        200,
        tr.span(
            "ForwardAuth",
            tr.fetches(
                "GET http://auth-server:8080/verify", None, auth.serves("GET /verify", 200), name="AuthRequest", scope=TS
            ),
            scope=TS,
        ),
        tr.fetches("GET http://orders:8080/x", 200, orders.serves("GET /x", 200), name="ReverseProxy", scope=TS),
        path="/x",
        scope=TS,
    ),
    outcome="allowed",
)
case(
    "traefik-rl",
    tr.serves(
        "GET",
        429,
        tr.span("RateLimit", tag="origin", status="error", message="No bursty traffic allowed", scope=TS),
        path="/x",
        scope=TS,
    ),
    outcome="denied",
    layer="rate_limiter",
    span="origin",
)
ax = Svc("apisix")
case(
    "apisix-401",
    ax.serves(
        "GET /o",
        401,
        tag="origin",
        scope="opentelemetry-lua",
        attrs={"apisix.response_source": "apisix", "apisix.route_name": "orders"},
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    span="origin",
    confidence=["high"],
)
case(
    "apisix-upstream-403",
    ax.serves(
        "GET /o",
        403,
        orders.serves("GET /o", 403, orders.check(False, "missing role y", tag="origin")),
        scope="opentelemetry-lua",
        attrs={"apisix.response_source": "upstream"},
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
)
ng = Svc("web-nginx", old=True)
case(
    "nginx-403",
    ng.serves("GET /admin", 403, tag="origin", scope="nginx", name="/admin", attrs={"net.sock.peer.addr": "198.51.100.9"}),
    outcome="denied",
    layer="api_gateway",
    span="origin",
    phase="authz",
    confidence=["medium"],
    client_address="198.51.100.9",
)
case(
    "nginx-relay",
    ng.serves(
        "GET /o",
        403,
        orders.serves("GET /o", 403, orders.check(False, "missing role y", tag="origin")),
        scope="nginx",
        name="/o",
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
    findings=["relayed_by"],
)
oath = Svc("oathkeeper", "go")
case(
    "oathkeeper-chain",
    oath.serves(
        "GET /decisions",
        200,
        oath.span(
            "pipeline.authn.AuthenticatorCookieSession.Authenticate", status="error", attrs={"error.reason": "no cookie"}
        ),
        oath.span("pipeline.authn.AuthenticatorJWT.Authenticate"),
        oath.span("pipeline.authz.AuthorizerAllow.Authorize"),
    ),
    outcome="allowed",
    layer=None,
    no_findings=["fail_open"],
)
case(
    "oathkeeper-deny",
    oath.serves(
        "GET /x",
        403,
        oath.span("pipeline.authn.AuthenticatorJWT.Authenticate"),
        oath.span(
            "pipeline.authz.AuthorizerRemoteJSON.Authorize",
            tag="origin",
            status="error",
            attrs={"error.reason": "subject may not read"},
        ),
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authz",
    service="oathkeeper",
    span="origin",
    reason="subject may not",
)
pom = Svc("pomerium", "go")
case(
    "pomerium",
    pom.serves(
        "GET /x",
        302,
        pom.span(
            "authorize.grpc.LogAuthorizeCheck",
            tag="origin",
            attrs={"result.allow": False, "result.allow-why-false": ["user-unauthenticated"]},
        ),
        attrs={"http.response.header.location": ["https://authenticate.example/.pomerium/sign_in"]},
    ),
    outcome="denied",
    layer="api_gateway",
    phase="authn",
    service="pomerium",
    span="origin",
    findings=["masked_denial"],
)
case(
    "waf-silent",
    gw.serves(
        "GET /api/x",
        403,
        valid(),
        gw.calls(
            orders.serves(
                "GET /x",
                403,
                orders.fetches(
                    "POST https://partner.example/v1/x",
                    403,
                    tag="origin",
                    attrs={"http.response.header.cf-ray": ["8a1"], "http.response.header.server": ["cloudflare"]},
                ),
            )
        ),
    ),
    outcome="denied",
    layer="edge_waf",
    service="orders",
    span="origin",
    confidence=["medium", "low"],
)
case(
    "authelia",
    ng.serves("GET /x", 401, ng.fetches("GET http://authelia:9091/api/verify", 401, tag="origin"), scope="nginx", name="/x"),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    span="origin",
    service="web-nginx",
)
