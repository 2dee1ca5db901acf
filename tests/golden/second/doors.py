"""Gateways, proxies, meshes and what stands before them: how each says no, and how each only passes a no on."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Host, Span, exception, trace
from instruments import GO, JVM, Service, envoy, envoy_asks, traefik
from systems import invoked

shop = Service("basket", "java")
cat = Service("catalogue", "fastapi")

# ---------------------------------------------------------------------------------------- Tyk
tyk = Host("tyk-gateway", {"tyk.gw.id": "solo-1", "tyk.gw.dataplane": False, "service.version": "v5.9.0"})
TYK = {"tyk.api.name": "orders", "tyk.api.id": "b84fe1a04e5648927971c0557971565c", "tyk.api.orgid": "5e9d", "tyk.api.path": "/orders/"}


def tyk_entry(code: int, *under: Span, **kw: object) -> Span:
    http = {"http.method": "GET", "http.target": "/orders/17", "http.scheme": "https", "net.host.name": "api.parcel.example", "http.status_code": code,
            "http.user_agent": "okhttp/4.12.0", "net.sock.peer.addr": "203.0.113.71"}
    return Span(tyk, "GET /orders/17", "server", under, http | TYK, "tyk-opentelemetry", **kw)  # type: ignore[arg-type]


def tyk_step(name: str, fault: str = "", **kw: object) -> Span:
    return Span(tyk, name, "internal", (), TYK, "tyk-opentelemetry", lasts=0.3, status="error" if fault else "unset", message=fault, **kw)  # type: ignore[arg-type]


trace(
    "tyk-key-has-expired",
    tyk_entry(403, tyk_step("VersionCheck"), tyk_step("CORSMiddleware"), tyk_step("KeyExpired", "Key has expired, please renew", mark="step")),
    outcome="denied", layer="api_gateway", phase="authn", service="tyk-gateway", where="step", reason="expired", entry_status=403,
    why="Layers: a gateway checking a credential; its own middleware span carries the refusal. Rule 13: an expired key is authn.")

trace(
    "tyk-quota-is-used-up",
    tyk_entry(429, tyk_step("VersionCheck"), tyk_step("AuthKey"), tyk_step("KeyExpired"), tyk_step("AccessRightsCheck"),
              tyk_step("RateLimitAndQuotaCheck", "Rate limit exceeded", mark="step")),
    outcome="denied", layer="rate_limiter", service="tyk-gateway", where="step", reason="Rate limit", entry_status=429,
    why="Layers: throttling, wherever it sits.")

trace(
    "tyk-passes-and-upstream-answers",
    tyk_entry(200, tyk_step("VersionCheck"), tyk_step("AuthKey"), tyk_step("KeyExpired"), tyk_step("AccessRightsCheck"), tyk_step("RateLimitAndQuotaCheck"),
              Span(tyk, "ReverseProxy", "internal", [Span(tyk, "HTTP GET", "client", [shop.serve("GET /orders/{id}", 200)], {
                  "http.method": "GET", "http.url": "http://basket:8080/orders/17", "net.peer.name": "basket", "http.status_code": 200}, f"{GO}/net/http/otelhttp#0.64.0")], {}, "tyk-opentelemetry")),
    outcome=["allowed", "no_auth_evidence"], layer=None, span_id=None, no_findings=["fail_open"],
    why="The client got what it asked for; whether a passed middleware is a visible check is the reader's to say.", doubt="a middleware that only ran is a weak statement")

# ---------------------------------------------------------------------------------------- other gateways
krakend = Service("krakend-edge", "go")
trace(
    "krakend-validator-refuses",
    krakend.serve("GET /v2/orders/{id}", 401, attrs={"krakend.stage": "global"}, scope="krakend", ip="198.51.100.77"),
    outcome="denied", layer="api_gateway", phase="authn", service="krakend-edge", entry_status=401, confidence=["medium"], client_address="198.51.100.77",
    why="Rule 6: the refusing hop is visible and called nobody; an entry called edge that forwards nothing here is a gateway by its name and scope.")

apisix = Host("APISIX", {"hostname": "apisix-6f8c"})
trace(
    "apisix-consumer-restriction",
    Span(apisix, "GET /anything/*", "server", (), {"net.host.name": "api.parcel.example", "http.method": "GET", "http.scheme": "http", "http.target": "/anything/1", "http.user_agent": "curl/8.11.1",
         "apisix.route_id": "4", "apisix.route_name": "anything", "http.route": "/anything/*", "apisix.response_source": "apisix", "http.status_code": 403}, "opentelemetry-lua", mark="entry"),
    outcome="denied", layer="api_gateway", phase="authz", service="APISIX", where="entry", entry_status=403,
    why="A gateway that states the answer is its own.")

trace(
    "apisix-passes-on-an-upstream-401",
    Span(apisix, "GET /anything/*", "server", [cat.serve("GET /things/{id}", 401, mark="inner")], {
        "http.method": "GET", "http.target": "/anything/2", "apisix.route_id": "4", "apisix.route_name": "anything", "http.route": "/anything/*",
        "apisix.response_source": "upstream", "http.status_code": 401}, "opentelemetry-lua"),
    outcome="denied", layer="application", phase="authn", service="catalogue", where="inner", entry_status=401, findings=["relayed_by"], confidence=["medium"],
    why="Rule 2: the gateway relays; the service answered 401 itself and called nobody.")

gravitee = Service("gravitee-apim-gateway", "java")
trace(
    "gravitee-plan-has-no-subscription",
    gravitee.serve("GET /parcels", 401, gravitee.span("SECURITY_CHAIN", gravitee.span("Security: api-key", attrs={"gravitee.plan": "gold", "gravitee.policy": "api-key"}, status="error",
        message="GATEWAY_PLAN_UNRESOLVABLE", mark="plan")), scope="io.gravitee.apim"),
    outcome="denied", layer="api_gateway", phase="authn", service="gravitee-apim-gateway", where="plan", entry_status=401,
    why="Rule 6: a named guard that is the last span before its refusal is the deciding span.")

yarp = Service("front-proxy", "aspnet")
trace(
    "yarp-authorization-policy-of-the-route",
    yarp.serve("GET /reports/{**rest}", 403, attrs={"aspnetcore.routing.is_fallback": False}),
    outcome="denied", layer=["api_gateway", "application"], phase="authz", service="front-proxy", entry_status=403, confidence=["medium"],
    why="Protocol evidence: one hop, which called nobody.", doubt="only the name says that it is a proxy")

scg = Service("orders-gateway", "spring")
trace(
    "spring-cloud-gateway-request-limiter",
    scg.serve("GET /orders", 429, scg.span("evalsha", kind="client", scope="io.lettuce.core", attrs={"db.system": "redis", "db.operation": "EVALSHA", "net.peer.name": "redis", "db.redis.database_index": 0}), mark="entry"),
    outcome="denied", layer="rate_limiter", service="orders-gateway", where="entry", entry_status=429, confidence=["medium"],
    why="429 of the entry itself; the script in Redis answered well and cannot have refused.")

haproxy = Host("haproxy", {"service.version": "3.3.0"})
trace(
    "haproxy-denies-by-acl",
    Span(haproxy, "HAProxy session", "server", [
        Span(haproxy, "Client session", "internal", [
            Span(haproxy, "HTTP request", "internal", (), {"http.method": "POST", "http.url": "/admin", "http.version": "2.0", "frontend": "fe_main"}, "haproxy-otel"),
            Span(haproxy, "HTTP response", "internal", (), {"http.status_code": 403, "termination_state": "PR--", "backend": "<NOSRV>"}, "haproxy-otel")], {"src": "203.0.113.90"}, "haproxy-otel")],
         {"http.status_code": 403}, "haproxy-otel"),
    outcome="denied", layer=["api_gateway", "edge_waf"], phase="authz", service="haproxy", entry_status=403,
    why="The proxy answered itself; without a rule or an address list as evidence it is a gateway.", doubt="PR means that the proxy refused by a deny rule, which may be an address list")

nginx = Host("ingress-nginx", {"service.version": "1.27.3"})
NGINX = {"http.method": "GET", "http.target": "/wiki", "http.route": "/", "http.scheme": "https", "http.flavor": "2.0", "net.host.name": "wiki.parcel.example", "net.sock.peer.addr": "192.0.2.18"}
trace(
    "nginx-auth-request-sends-to-oauth2-proxy",
    Span(nginx, "GET /", "server", (), NGINX | {"http.status_code": 302, "http.response.header.location": ["https://login.parcel.example/oauth2/start?rd=%2Fwiki"]}, "nginx", mark="entry"),
    outcome="denied", layer=["api_gateway", "identity_provider"], phase="authn", service="ingress-nginx", where="entry", entry_status=302, findings=["masked_denial"],
    why="Outcomes: a redirect to a login page is a refusal, masked.")

trace(
    "nginx-subrequest-gets-401",
    Span(nginx, "GET /", "server", [
        Span(nginx, "/_external-auth-Lw-Prefix", "client", (), {"http.method": "GET", "http.url": "http://oauth2-proxy.auth.svc.cluster.local:4180/oauth2/auth", "net.peer.name": "oauth2-proxy.auth.svc.cluster.local", "http.status_code": 401},
             "nginx", status="error", mark="ask")], NGINX | {"http.status_code": 401}, "nginx"),
    outcome="denied", layer="identity_provider", phase="authn", service="ingress-nginx", where="ask", entry_status=401, findings=["uninstrumented_peer"],
    why="Rule 7: the peer's denial, and the peer is a login proxy; its /oauth2/auth is the documented answer of a check.")

entry = Host("traefik", {"service.version": "3.6.1"})
trace(
    "traefik-authelia-sends-to-its-portal",
    traefik(entry, "ReceivedRequest", traefik(entry, "GET", traefik(
        entry, "AuthRequest", kind="client", attrs={"http.request.method": "GET", "url.full": "http://authelia:9091/api/authz/forward-auth", "server.address": "authelia", "http.response.status_code": 302,
                                                     "http.response.header.location": ["https://auth.parcel.example/?rd=https%3A%2F%2Fgrafana.parcel.example%2F"]}, mark="ask"),
        attrs={"traefik.middleware.name": "authelia@docker", "code.function": "forwardAuth"}), kind="server",
        attrs={"entry_point": "websecure", "http.request.method": "GET", "url.path": "/", "server.address": "grafana.parcel.example", "http.response.status_code": 302,
               "http.response.header.location": ["https://auth.parcel.example/?rd=https%3A%2F%2Fgrafana.parcel.example%2F"]}),
    outcome="denied", layer=["identity_provider", "policy_engine"], phase="authn", service="traefik", where="ask", entry_status=302, findings=["masked_denial"],
    why="A redirect to a login page; Authelia, asked by the proxy, decided it and sends no spans of its own.")

# ---------------------------------------------------------------------------------------- meshes
linkerd = Host("linkerd-proxy", {"host.name": "basket-6c9d7f-x2x8p", "k8s.pod.label.app": "basket"})
web = Service("storefront", "node")
trace(
    "linkerd-server-authorization",
    web.serve("GET /cart", 502, web.fetch("GET http://basket.shop.svc.cluster.local:8080/cart", 403, Span(
        linkerd, "basket.shop.svc.cluster.local:8080", "server", (), {"direction": "inbound", "http.method": "GET", "http.path": "/cart", "http.authority": "basket.shop.svc.cluster.local:8080", "http.status_code": "403",
        "tls": "true", "client.id": "storefront.shop.serviceaccount.identity.linkerd.cluster.local", "l5d-proxy-error": "unauthorized request on route"}, "linkerd2-proxy", mark="proxy"))),
    outcome="denied", layer="service_mesh", phase="authz", service="linkerd-proxy", where="proxy", entry_status=502, findings=["status_rewritten"],
    why="A sidecar that answered 403 itself; the storefront turned it into a 502.")

side = Host("orders.shop", {})
trace(
    "consul-intention-denies",
    web.serve("GET /orders", 403, web.fetch("GET http://orders.virtual.consul/orders", 403, envoy(
        side, 403, kind="server", name="public_listener", to="local_app", mark="rbac", attrs={"http.response_code_details": "rbac_access_denied_matched_policy[none]"}))),
    outcome="denied", layer="service_mesh", phase="authz", service="orders.shop", where="rbac", entry_status=403, findings=["relayed_by"], confidence=["high"],
    why="Envoy states its own refusal; Consul's intentions are its RBAC filter.")

istio_gw = Host("istio-ingressgateway.istio-system", {})
authz = Service("access-broker", "axum")
trace(
    "ext-authz-in-rust-denies-by-house-attribute",
    envoy(istio_gw, 403, envoy_asks(istio_gw, "async envoy.service.auth.v3.Authorization.Check egress", "outbound|9000||access-broker.authz.svc.cluster.local", authz.answer(
        "envoy.service.auth.v3.Authorization/Check", "OK", authz.span("evaluate_request", scope="access_broker", attrs={"code.namespace": "access_broker::policy", "decision": "deny", "rule": "parcels-need-courier-role"}, mark="rule"), mark="server"),
        attrs={"ext_authz_status": "ext_authz_unauthorized", "grpc.status_code": "0"}), role="router", flags="UAEX", url="https://api.parcel.example/parcels"),
    outcome="denied", layer="policy_engine", phase="authz", service="access-broker", where=("server", "rule"), entry_status=403, enforced_by="istio-ingressgateway.istio-system", confidence=["high"],
    why="Who is named: the decider's own span, or its SERVER span where only the asker carries the result.")

# ---------------------------------------------------------------------------------------- clouds at the door
apigw = Host("parcel-api/prod", {"cloud.provider": "aws", "cloud.platform": "aws_api_gateway"})
judge_fn = Service("token-authorizer", "lambda-js")
APIGW = {"aws.api_gateway.api_id": "a1b2c3", "http.method": "GET", "http.url": "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/prod/parcels"}
trace(
    "lambda-authorizer-answers-deny",
    Span(apigw, "parcel-api/prod", "server", [
        Span(apigw, "Lambda", "client", [invoked(judge_fn, judge_fn.check(False, "tenant suspended", mark="rule", attrs={"auth.subject": "t-88"}))], {"aws.operation": "Authorize", "http.status_code": 200}, "AWS::ApiGateway")],
        APIGW | {"http.status_code": 403}, "AWS::ApiGateway"),
    outcome="denied", layer=["policy_engine", "application", "api_gateway", "identity_provider"], phase="authz", service="token-authorizer", where="rule", reason="tenant suspended", entry_status=403, principal="t-88", confidence=["high"],
    why="The authorizer decided about a third party's action, the gateway enforced it.", doubt="which layer a function behind a gateway belongs to: it is asked for decisions, so policy_engine reads best")

trace(
    "lambda-authorizer-times-out",
    Span(apigw, "parcel-api/prod", "server", [
        Span(apigw, "Lambda", "client", [invoked(judge_fn, judge_fn.fetch("GET https://parcel.eu.auth0.com/.well-known/jwks.json", None, error="ETIMEDOUT", mark="jwks", events=[exception("Error", "connect ETIMEDOUT 104.18.3.2:443")]),
            status="error", message="2026-10-12T09:14:02.711Z 8f507cfc Task timed out after 3.00 seconds")], {"aws.operation": "Authorize", "http.status_code": 200}, "AWS::ApiGateway", status="error")],
        APIGW | {"http.status_code": 500}, "AWS::ApiGateway", status="error"),
    outcome="error", layer="identity_provider", service="token-authorizer", where="jwks", entry_status=500,
    why="Rule 5: a key download that timed out; no layer refused.")

waf = Service("edge-caddy", "go")
trace(
    "coraza-rule-blocks-an-injection",
    waf.serve("GET /search", 403, waf.span("coraza.ProcessRequestHeaders", attrs={"waf.interruption.action": "deny", "waf.rule.id": 942100, "waf.rule.message": "SQL Injection Attack Detected via libinjection"}, mark="rule"), path="/search?q=1", ip="203.0.113.91"),
    outcome="denied", layer="edge_waf", phase="authz", service="edge-caddy", entry_status=403, client_address="203.0.113.91", reason="SQL Injection",
    where="rule", why="Who is named: with a WAF rule as evidence it is edge_waf.")

# ---------------------------------------------------------------------------------------- protocols
grpcnet = Service("pricing", "aspnet")
bff = Service("mobile-bff", "aspnet")
trace(
    "grpc-of-dotnet-answers-http-401",
    bff.serve("GET /prices", 401, Span(
            bff, "pricing.PriceService/List", "client", [grpcnet.serve("POST /pricing.PriceService/List", 401, mark="inner")],
            {"rpc.system": "grpc", "rpc.service": "pricing.PriceService", "rpc.method": "List", "rpc.grpc.status_code": 16, "server.address": "pricing"},
            "OpenTelemetry.Instrumentation.GrpcNetClient", status="error", message="Bad gRPC response. HTTP status code: 401")),
    outcome="denied", layer="application", phase="authn", service="pricing", where="inner", entry_status=401, confidence=["medium"], findings=["relayed_by"],
    why="The gRPC server's middleware answered 401 before any method ran; the caller relays it.")

live = Service("live-board", "node")
trace(
    "websocket-upgrade-with-a-stale-ticket",
    live.serve("GET /socket.io/", 401, live.span("verifyClient", scope="live-board", attrs={"authenticated": False, "error": "ticket expired"}, mark="guard")),
    outcome="denied", layer="application", phase="authn", service="live-board", where="guard", entry_status=401,
    why="Rule 6: a named guard that is the last span before its refusal.")

trace(
    "websocket-stays-open-and-a-message-is-refused",
    live.serve("GET /socket.io/", 101, live.check(True, attrs={"auth.subject": "u-5"}), live.span("socket.io board:join", live.check(True)), live.span(
        "socket.io board:delete", live.check(False, "not the board's owner", mark="rule", attrs={"auth.subject": "u-5"})), live.span("socket.io board:move", live.check(True), live.query("UPDATE cards SET col = $1 WHERE id = $2", table="cards"))),
    outcome="partially_denied", layer="application", phase="authz", service="live-board", where="rule", reason="owner", entry_status=101,
    why="One of several things done in one connection was refused, and the rest went on by design.")

java_proxy = Service("soap-adapter", "java")
trace(
    "soap-fault-with-200",
    java_proxy.serve("POST /soap/parcels", 200, java_proxy.span(
        "ParcelPort/cancel", scope=f"{JVM}.jaxws-metro-2.2#2.22.0-alpha", status="error", mark="fault",
        events=[exception("jakarta.xml.ws.soap.SOAPFaultException", "wsse:FailedAuthentication: The security token could not be authenticated or authorized")])),
    outcome="denied", layer="application", phase="authn", service="soap-adapter", where="fault", entry_status=200, findings=["masked_denial"],
    why="A 200 whose body carries the refusal: WS-Security's own fault code names it.")
