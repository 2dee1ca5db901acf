"""Edge, gateways, sidecars and limiters: what refuses before a service is asked."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Host, Span, exception, trace
from instruments import Service, authorize, envoy, envoy_asks, filters, kong, spring, traefik

EXT_AUTHZ = "async envoy.service.auth.v3.Authorization.Check egress"
AUTHZ_RPC = "envoy.service.auth.v3.Authorization/Check"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"

front = Host("front-envoy", {"service.namespace": "edge"})
ingress = Host("istio-ingressgateway.istio-system")
claims = Service("claims-api", "java")
ehr = Service("ehr-core", "go")
tariff = Service("tariff", "aspnet")
warden = Service("warden", "go", old=True, port=9191)
portal = Service("ward-portal", "undici")
pharmacy = Service("pharmacy", "quarkus")
checkout = Service("checkout", "go")

# ---------------------------------------------------------------------------------------- Envoy: external authorization
UNAUTHORIZED = {"ext_authz_status": "ext_authz_unauthorized", "grpc.status_code": "0"}
trace(
    "extauthz-grpc-deny",
    envoy(front, 403,
          envoy_asks(front, EXT_AUTHZ, "ext_authz_warden", warden.answer(AUTHZ_RPC, "OK", mark="warden"), attrs=UNAUTHORIZED),
          to="claims", flags="UAEX", url="http://insure.example/claims/88"),
    outcome="denied", layer="policy_engine", phase="authz", service="warden", where="warden", enforced_by="front-envoy",
    entry_status=403, confidence=["high"], no_findings=["relayed_by", "fail_closed"],
    why="Who is named: the decider has spans but its result stands on Envoy's check span, so its SERVER span is named.")

trace(
    "extauthz-grpc-deny-silent-authorizer",
    envoy(front, 403, envoy_asks(front, EXT_AUTHZ, "ext_authz_cluster", mark="ask", attrs=UNAUTHORIZED),
          to="claims", flags="UAEX", url="http://insure.example/claims/91", method="DELETE"),
    outcome="denied", layer="policy_engine", phase="authz", service="front-envoy", where="ask", entry_status=403,
    why="ext_authz_status is the decision; the authorizer sends no spans, so the emitting service and span are named.")

trace(
    "extauthz-http-deny",
    envoy(front, 403,
          envoy_asks(front, "async ext-authz-http egress", "ext-authz-http", mark="ask", status="error",
                     attrs={"ext_authz_status": "ext_authz_unauthorized", "ext_authz_http_status": "Forbidden",
                            "http.status_code": "403", "http.method": "GET", "error": "true"}),
          to="wards", flags="UAEX", url="http://clinic.example/wards"),
    outcome="denied", layer="policy_engine", phase="authz", service="front-envoy", where="ask",
    no_findings=["fail_closed", "fail_open"],
    why="A 403 from the HTTP authorizer is its decision, although the span is in ERROR.")

DEAD = {"ext_authz_status": "ext_authz_unauthorized", "ext_authz_http_status": "Service Unavailable",
        "http.status_code": "503", "response_flags": "UF", "error": "true", "http.method": "GET"}
trace(
    "extauthz-http-dead-fails-closed",
    envoy(front, 403,
          envoy_asks(front, "async ext-authz-http egress", "ext-authz-http", status="error", attrs=DEAD, mark="ask", lasts=250),
          to="wards", flags="UAEX", url="http://clinic.example/wards/3"),
    outcome="error", layer="policy_engine", service="front-envoy", where="ask", entry_status=403, findings=["fail_closed"],
    no_findings=["fail_open"], confidence=["high"],
    why="Rule 5: the authorizer could not be reached (UF, 503); Envoy failed closed with the 403 that a refusal gives.")

trace(
    "extauthz-http-dead-fails-open",
    envoy(front, 200,
          envoy_asks(front, "async ext-authz-http egress", "ext-authz-http", status="error", attrs=DEAD, lasts=250),
          ehr.serve("PUT /wards/{id}/beds", 200, ehr.query("UPDATE beds SET state = $1 WHERE ward = $2", table="beds")),
          to="wards", method="PUT", url="http://clinic.example/wards/3/beds"),
    outcome="allowed", layer=None, span_id=None, findings=["fail_open"], no_findings=["fail_closed"],
    why="Outcomes: a check that broke and let the request through is allowed with fail_open.")

trace(
    "extauthz-allows-then-application-refuses",
    envoy(front, 403,
          envoy_asks(front, EXT_AUTHZ, "ext_authz_warden", warden.answer(AUTHZ_RPC, "OK"),
                     attrs={"ext_authz_status": "ext_authz_ok", "grpc.status_code": "0"}),
          claims.serve("PATCH /claims/{id}", 403,
                       claims.query("SELECT * FROM claim WHERE id = ?", table="claim"),
                       claims.check(False, "claim is assigned to another adjuster", mark="refusal",
                                    attrs={"auth.subject": "adj-207"})),
          to="claims", method="PATCH", url="http://insure.example/claims/4711"),
    outcome="denied", layer="application", phase="authz", service="claims-api", where="refusal", reason="another adjuster",
    principal="adj-207", enforced_by="claims-api", findings=["relayed_by"], confidence=["high"],
    layers=[["policy_engine", "allow"], ["application", "deny"]],
    why="Rule 2: the external authorizer allowed, the service's own check refused, Envoy relays.")

# ---------------------------------------------------------------------------------------- Envoy and Istio: RBAC and JWT
trace(
    "sidecar-rbac-none-matched-grpc",
    checkout.serve("POST /checkout", 403, checkout.ask_alone(
        "shop.v1.Cart/Get", "PERMISSION_DENIED",
        envoy(Host("cart.prod"), 200, role="sidecar", name="cart.prod.svc.cluster.local:8080/*", to="inbound|8080||", mark="proxy",
              method="POST", url="http://cart.prod:8080/shop.v1.Cart/Get", lasts=0.5,
              attrs={"grpc.status_code": "7", "grpc.message": "RBAC: access denied", "http.protocol": "HTTP/2",
                     "response_code_details": "rbac_access_denied_matched_policy[none]"}),
        host="cart.prod", text="RBAC: access denied"), ip="198.51.100.23"),
    outcome="denied", layer="service_mesh", phase="authz", service="cart.prod", where="proxy", entry_status=403,
    client_address="198.51.100.23", confidence=["high"],
    why="gRPC status wins over HTTP 200; the sidecar states its own RBAC refusal and never reached the callee.")

trace(
    "sidecar-grpc-refusal-by-message",
    portal.serve("GET /api/med/{id}", 500, portal.ask_alone(
        "pharmacy.Dispense/Lookup", "PERMISSION_DENIED",
        envoy(Host("pharmacy.prod"), 200, role="sidecar", to="inbound|50051||", method="POST", mark="proxy", lasts=0.4,
              url="http://pharmacy:50051/pharmacy.Dispense/Lookup",
              attrs={"grpc.status_code": "7", "grpc.message": "RBAC: access denied"}),
        host="pharmacy", text="RBAC: access denied")),
    outcome="denied", layer="service_mesh", phase="authz", service="pharmacy.prod", where="proxy", entry_status=500,
    findings=["status_rewritten"],
    why="A proxy's own gRPC refusal inside HTTP 200; the portal turned it into a 500.")

trace(
    "ingress-jwt-expired",
    envoy(ingress, 401, role="router", to="outbound|8080||claims.prod.svc.cluster.local", mark="proxy", lasts=0.7,
          url="http://insure.example/claims", attrs={"response_code_details": "jwt_authn_access_denied{Jwt_is_expired}"}),
    outcome="denied", layer="api_gateway", phase="authn", service="istio-ingressgateway.istio-system", where="proxy",
    reason="expired", confidence=["high"], entry_status=401,
    why="Who is named: a proxy that refuses by itself and is no sidecar is api_gateway; upstream_cluster proves no call.")

trace(
    "sidecar-jwt-missing",
    portal.serve("GET /api/labs", 401, portal.fetch(
        "GET http://labs.prod:8080/labs", 401,
        envoy(Host("labs.prod"), 401, role="sidecar", to="inbound|8080||", url="http://labs.prod:8080/labs", mark="proxy",
              lasts=0.3, attrs={"response_code_details": "jwt_authn_access_denied{Jwt_is_missing}"}))),
    outcome="denied", layer="service_mesh", phase="authn", service="labs.prod", where="proxy", reason="missing",
    findings=["relayed_by"], confidence=["high"],
    why="Who is named: a sidecar is service_mesh; its details name the missing token.")

trace(
    "ingress-signing-key-rotated",
    envoy(ingress, 401, role="router", to="outbound|8080||claims.prod.svc.cluster.local", mark="proxy", lasts=0.6,
          url="http://insure.example/claims",
          attrs={"response_code_details": "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}"}),
    outcome=["denied", "error"], service="istio-ingressgateway.istio-system", where="proxy", entry_status=401,
    why="Catalogue §4.32: keys were rotated. The filter states its refusal, the cause is the provider's configuration.",
    doubt="the law does not say whether an unknown key id is a denial or an error")

trace(
    "waypoint-403-without-details",
    envoy(ingress, 403,
          envoy(Host("waypoint.prod"), 403, role="waypoint", to="inbound-vip|80|http|tariff.prod", mark="proxy", lasts=0.5,
                url="http://tariff.prod/rates"),
          role="router", to="outbound|80||tariff.prod.svc.cluster.local", url="http://insure.example/rates"),
    outcome="denied", layer="service_mesh", service="waypoint.prod", where="proxy",
    confidence=["medium", "low"], findings=["relayed_by"],
    why="Rule 6 and 'sidecar or waypoint is service_mesh': it called nobody, and nothing but the status speaks.")

trace(
    "envoy-relays-without-client-span",
    envoy(front, 403, tariff.serve("GET /rates/{country}", 403, mark="leaf"), to="tariff", url="http://insure.example/rates/de"),
    outcome="denied", layer="application", service="tariff", where="leaf", confidence=["medium"], findings=["relayed_by"],
    entry_status=403,
    why="Rules 2 and 6: Envoy's SERVER span is the parent of the backend's, which answered 403 and called nobody.")

trace(
    "dry-run-deny-beside-a-real-one",
    portal.serve("POST /api/orders", 403, portal.fetch(
        "POST http://pharmacy:8080/orders", 403,
        envoy(Host("pharmacy.prod"), 403,
              pharmacy.serve("POST /orders", 403, pharmacy.check(False, "prescriber licence lapsed", mark="refusal")),
              role="sidecar", to="inbound|8080||", url="http://pharmacy:8080/orders", method="POST",
              attrs={"istio.authorization.dry_run.deny_policy.name": "ns[prod]-policy[night-freeze]-rule[0]",
                     "istio.authorization.dry_run.deny_policy.result": "denied"}))),
    outcome="denied", layer="application", phase="authz", service="pharmacy", where="refusal", reason="licence lapsed",
    why="Rule 9: the dry run would have refused too but never counts; the service's own check did.")

trace(
    "mesh-connection-cut",
    ehr.serve("GET /schedule", 503, ehr.fetch(
        "GET http://rooms.prod:8080/rooms", 503,
        envoy(Host("ehr-core.prod"), 503, kind="client", role="sidecar", name="rooms.prod.svc.cluster.local:8080/*", flags="UC",
              to="outbound|8080||rooms.prod.svc.cluster.local", url="http://rooms.prod:8080/rooms", mark="cut"))),
    outcome="error", layer="service_mesh", service="ehr-core.prod", where="cut", confidence=["low"], entry_status=503,
    why="Rule 15: a failure at connection level (503 UC) is error, service_mesh, low: authorization is possible, not shown.")

# ---------------------------------------------------------------------------------------- limiters
RATE_RPC = "envoy.service.ratelimit.v3.RateLimitService"
limits = Service("ratelimit", "go", old=True, port=8081)
trace(
    "envoy-local-rate-limit",
    envoy(front, 429, to="claims", flags="RL", url="http://insure.example/claims", mark="proxy", lasts=0.3,
          attrs={"response_code_details": "local_rate_limited"}),
    outcome="denied", layer="rate_limiter", service="front-envoy", where="proxy", entry_status=429, confidence=["high"],
    why="The proxy states its own throttling: flag RL, details local_rate_limited.")

trace(
    "envoy-global-rate-limit",
    envoy(front, 429,
          envoy_asks(front, f"async {RATE_RPC}.ShouldRateLimit egress", "ratelimit",
                     limits.answer(f"{RATE_RPC}/ShouldRateLimit", "OK", limits.span(
                         "redis PIPELINE", kind="client", attrs={"db.system": "redis", "db.statement": "INCRBY insure_1791763\nEXPIRE"},
                         scope="github.com/mediocregopher/radix"), mark="limiter"),
                     attrs={"ratelimit_status": "over_limit", "grpc.status_code": "0"}),
          to="claims", flags="RL", url="http://insure.example/quotes", method="POST"),
    outcome="denied", layer="rate_limiter", service="ratelimit", where="limiter", enforced_by="front-envoy", entry_status=429,
    no_findings=["side_effect_before_denial"],
    why="Who is named: the limiter's result stands on Envoy's span and it has spans of its own, so its SERVER span is named.",
    doubt="that the limiter's own counter is bookkeeping and no guarded write, the catalogue says, the page does not")

trace(
    "grpc-quota-exhausted",
    checkout.serve("POST /labels", 429, checkout.ask(Service("geocode", "java", old=True).answer(
        "geo.v2.Geocoder/Locate", "RESOURCE_EXHAUSTED", text="quota of 600 lookups per minute used up", mark="leaf"))),
    outcome="denied", layer="rate_limiter", service="geocode", where="leaf", reason="quota", findings=["relayed_by"],
    why="Layers: RESOURCE_EXHAUSTED is throttling, wherever it sits; its text is on the caller's span.")

# ---------------------------------------------------------------------------------------- Kong
kong_dp = Host("kong-dp", {"service.version": "3.9.0"})
trace(
    "kong-acl-refuses-group",
    kong(kong_dp, 403, "correlation-id", "key-auth", "acl", request="GET /v1/exports", ip="203.0.113.140"),
    outcome="denied", layer="api_gateway", phase="authz", service="kong-dp", where="plugin", entry_status=403,
    client_address="203.0.113.140", confidence=["medium"],
    why="Rule 6: a named guard that is the last before its refusal is the deciding span (medium); no kong.balancer.")

trace(
    "kong-ip-restriction",
    kong(kong_dp, 403, "ip-restriction", request="GET /admin", ip="192.0.2.201"),
    outcome="denied", layer="edge_waf", phase="authz", service="kong-dp", where="plugin",
    why="Who is named: Kong's ip-restriction is edge_waf.")

trace(
    "kong-bot-detection",
    kong(kong_dp, 403, "cors", "bot-detection", request="GET /catalogue", ip="192.0.2.202"),
    outcome="denied", layer="edge_waf", service="kong-dp", where="plugin",
    why="Who is named: Kong's bot-detection is edge_waf.")

trace(
    "kong-opa-plugin",
    kong(kong_dp, 403, "openid-connect", "opa", request="DELETE /v1/tenants/9", ip="192.0.2.15"),
    outcome="denied", layer="policy_engine", phase="authz", service="kong-dp", where="plugin", confidence=["medium"],
    why="A product's own rule outranks the general ones: the opa plugin speaks for a policy engine.")

trace(
    "kong-advanced-limit",
    kong(kong_dp, 429, "key-auth", "rate-limiting-advanced", request="GET /v1/quotes", ip="192.0.2.16"),
    outcome="denied", layer="rate_limiter", service="kong-dp", where="plugin", entry_status=429,
    why="The limiter plugin is the last before the 429 and nothing was sent upstream.")

trace(
    "kong-passes-application-refuses",
    kong(kong_dp, 403, "key-auth", "rate-limiting", request="GET /v1/policies/77", ip="192.0.2.17", upstream=spring(
        policies := Service("policyholder", "spring"), "GET /policies/{id}", 403,
        filters(policies, authorize(policies, False, "AuthorizationDecision [granted=false]", mark="refusal")))),
    outcome="denied", layer="application", phase="authz", service="policyholder", where="refusal", entry_status=403,
    findings=["relayed_by"], layers=[["application", "deny"], ["api_gateway", "allow"]], confidence=["high"],
    why="kong.balancer exists, so Kong's plugins let it pass; Spring Security refused and Kong relays.")

trace(
    "kong-introspection-times-out",
    kong(kong_dp, 500, "openid-connect", request="GET /v1/policies", ip="192.0.2.18", inside=Span(
        kong_dp, "kong.internal.request", "client", scope="kong-internal", status="error", mark="ask", lasts=10_000,
        attrs={"http.method": "POST", "http.url": "https://sso.insure.example/realms/main/protocol/openid-connect/token/introspect",
               "http.status_code": 504, "net.peer.name": "sso.insure.example"})),
    outcome="error", layer="identity_provider", service="kong-dp", where="ask", entry_status=500, no_findings=["fail_open"],
    why="Rule 5: the identity provider's introspection answered 504; nobody refused anything.")

# ---------------------------------------------------------------------------------------- Traefik, APISIX, NGINX
tfk = Service("traefik-edge", "go")
TFK = "github.com/traefik/traefik#3.6.1"
trace(
    "traefik-basic-auth-minimal",
    tfk.serve("GET", 401, path="/grafana", ip="203.0.113.61", scope=TFK, status="error", message="Authentication failed",
              mark="edge", attrs={"entry_point": "websecure"}, lasts=2.0),
    outcome="denied", layer="api_gateway", phase="authn", service="traefik-edge", where="edge", entry_status=401,
    client_address="203.0.113.61", reason="Authentication failed", confidence=["high"],
    why="Traefik states its own refusal on the entry span, which is in ERROR against the general rule.")

trace(
    "traefik-digest-detailed",
    tfk.serve("GET", 401, traefik(
        tfk, "Router", traefik(tfk, "digestAuth", status="error", message="Digest authentication failed", mark="guard", lasts=0.4,
                               attrs={"traefik.middleware.name": "ops-digest@file"}), attrs={"traefik.router.name": "ops@file"}),
        path="/ops", scope=TFK),
    outcome="denied", layer="api_gateway", phase="authn", service="traefik-edge", where="guard",
    why="The middleware's own words on its own span.")

trace(
    "traefik-forward-auth-without-status",
    tfk.serve("GET", 401, traefik(
        tfk, "ForwardAuth",
        traefik(tfk, "AuthRequest", kind="client", mark="ask",
                attrs={"http.request.method": "GET", "url.full": "http://oauth2-proxy:4180/oauth2/auth", "server.address": "oauth2-proxy"}),
        attrs={"traefik.middleware.name": "sso@docker"}, mark="guard"), path="/wiki", scope=TFK),
    outcome="denied", layer=["api_gateway", "identity_provider"], phase="authn", service="traefik-edge", where=("ask", "guard"),
    entry_status=401, confidence=["medium", "low"],
    why="Traefik's own rule: AuthRequest carries no status; without ReverseProxy the forward-auth guard is the refusal.",
    doubt="rule 6 calls an unset CLIENT span without status inconclusive; a product's own rule outranks the general ones")

sso = Service("sso-guard", "fastapi", port=9091)
trace(
    "traefik-forward-auth-server-decides",
    tfk.serve("GET", 403, traefik(
        tfk, "ForwardAuth", traefik(
            tfk, "AuthRequest", sso.serve("GET /verify", 403, sso.check(False, "user is not in group wiki-editors", mark="refusal",
                                                                        attrs={"auth.subject": "u-1190"})),
            kind="client", attrs={"http.request.method": "GET", "url.full": "http://sso-guard:9091/verify", "server.address": "sso-guard"}),
        attrs={"traefik.middleware.name": "sso@docker"}), path="/wiki/edit", scope=TFK),
    outcome="denied", layer=["policy_engine", "identity_provider"], phase="authz", service="sso-guard", where="refusal", reason="wiki-editors",
    enforced_by="traefik-edge", principal="u-1190", confidence=["high"],
    why="Who is named: a service that is asked for decisions about a third party's action and returns a verdict.",
    doubt="a single sign-on guard also verifies logins for others, so both roles fit")

trace(
    "traefik-forward-auth-unreachable",
    tfk.serve("GET", 500, traefik(
        tfk, "ForwardAuth", traefik(tfk, "AuthRequest", kind="client", lasts=30_000, status="error",
                                    message="dial tcp 10.42.0.9:9091: i/o timeout",
                                    attrs={"http.request.method": "GET", "url.full": "http://sso-guard:9091/verify"}),
        status="error", message="Error calling http://sso-guard:9091/verify. Cause: dial tcp 10.42.0.9:9091: i/o timeout",
        attrs={"traefik.middleware.name": "sso@docker"}), path="/wiki", scope=TFK, status="error"),
    outcome="error", service="traefik-edge", entry_status=500, layer=["policy_engine", "identity_provider", "api_gateway"],
    why="Rule 5: the auth server could not be called; the 500 is nobody's refusal.",
    doubt="which layer an unknown forward-auth server is, the law leaves open")

trace(
    "traefik-burst",
    tfk.serve("GET", 429, traefik(tfk, "RateLimiterType", status="error", message="No bursty traffic allowed", mark="limit",
                                  lasts=0.2, attrs={"traefik.middleware.name": "api-limit@file"}), path="/api/search", scope=TFK),
    outcome="denied", layer="rate_limiter", service="traefik-edge", where="limit", entry_status=429,
    why="Traefik's limiter says so itself.")

apisix = Host("apisix", {"service.namespace": "edge"})


def apisix_span(code: int, source: str, *under: Span, route: str, **kw: object) -> Span:
    attrs = {"net.host.name": "gw.example", "http.method": "GET", "http.scheme": "http", "http.target": route,
             "http.user_agent": "okhttp/4.12.0", "http.status_code": code, "apisix.route_name": route.strip("/"),
             "apisix.response_source": source}
    return Span(apisix, f"GET {route}", "server", under, attrs, "opentelemetry-lua", **kw)  # type: ignore[arg-type]


trace(
    "apisix-key-auth",
    apisix_span(401, "apisix", route="/tickets", mark="edge", lasts=0.8),
    outcome="denied", layer="api_gateway", phase="authn", service="apisix", where="edge", confidence=["high", "medium"],
    why="apisix.response_source=apisix: the gateway answered 401 by itself.")

trace(
    "apisix-limit-count",
    apisix_span(429, "apisix", route="/tickets", mark="edge", lasts=0.8),
    outcome="denied", layer="rate_limiter", service="apisix", where="edge",
    why="429 is throttling, wherever it sits.")

helpdesk = Service("helpdesk", "rails", old=True)
trace(
    "apisix-relays-pundit",
    apisix_span(403, "upstream", helpdesk.serve(
        "PUT /tickets/:id", 403, name="TicketsController#update", mark="leaf",
        events=[exception("Pundit::NotAuthorizedError", "not allowed to update? this Ticket")]), route="/tickets/4711"),
    outcome="denied", layer="application", phase="authz", service="helpdesk", where="leaf", reason="not allowed to update?",
    findings=["relayed_by"], entry_status=403,
    why="response_source=upstream: APISIX only relays; the Rails hop refused and its exception says so.")

trace(
    "nginx-basic-auth",
    Span(Host("nginx-edge"), "/metrics", "server", (), {
        "http.method": "GET", "http.target": "/metrics", "http.route": "/metrics", "http.scheme": "https", "http.flavor": "1.1",
        "http.user_agent": "Go-http-client/1.1", "http.status_code": 401, "net.host.name": "edge-3",
        "net.sock.peer.addr": "203.0.113.77", "net.sock.peer.port": 51034}, "nginx", lasts=0.2, mark="edge"),
    outcome="denied", layer="api_gateway", phase="authn", service="nginx-edge", where="edge", confidence=["medium"],
    entry_status=401,
    why="Rule 6: the only hop answered 401 and called nobody; 'a proxy that refuses by itself: else api_gateway'.")

trace(
    "nginx-relays-django",
    Span(Host("nginx-edge"), "/", "server", [
        Service("studio", "django", old=True).serve(
            "POST /assets/<int:pk>/publish", 403, name="POST assets/<int:pk>/publish", status="error", mark="leaf",
            events=[exception("django.core.exceptions.PermissionDenied", "only producers may publish")])],
        {"http.method": "POST", "http.target": "/assets/4711/publish", "http.route": "/", "http.status_code": 403,
         "net.sock.peer.addr": "198.51.100.3"}, "nginx"),
    outcome="denied", layer="application", phase="authz", service="studio", where="leaf", reason="only producers",
    findings=["relayed_by"], confidence=["high"],
    why="Catalogue C: nginx with a backend span below relays; Django's PermissionDenied is explicit.")

# ---------------------------------------------------------------------------------------- Oathkeeper, Pomerium, API Gateway, WAF
oath = Service("oathkeeper", "go", port=4456)
OATH = "github.com/ory/oathkeeper"


def pipeline(step: str, ok: bool, reason: str = "", **kw: object) -> Span:
    bad = {"status": "error", "message": reason, "events": [Event("exception", {"exception.type": "*herodot.DefaultError",
                                                                                "exception.message": reason})]}
    return oath.span(f"pipeline.{step}", attrs={"error.reason": reason} if reason else {}, scope=OATH, **({} if ok else bad), **kw)


trace(
    "oathkeeper-authorizer-refuses",
    oath.serve("GET /invoices", 403,
               pipeline("authn.AuthenticatorCookieSession.Authenticate", False, "no session cookie found"),
               pipeline("authn.AuthenticatorJWT.Authenticate", True),
               pipeline("authz.AuthorizerRemoteJSON.Authorize", False, "Access credentials are not sufficient to access this resource",
                        mark="refusal"), scope=OATH),
    outcome="denied", layer="api_gateway", phase="authz", service="oathkeeper", where="refusal", reason="not sufficient",
    entry_status=403,
    why="Catalogue §4.23: of a chain of authenticators only the last counts; the authorizer then refused.")

trace(
    "oathkeeper-no-authenticator-matches",
    oath.serve("GET /invoices", 401,
               pipeline("authn.AuthenticatorCookieSession.Authenticate", False, "no session cookie found"),
               pipeline("authn.AuthenticatorOAuth2Introspection.Authenticate", False, "The request could not be authorized: token is not active",
                        mark="refusal"), scope=OATH),
    outcome="denied", layer="api_gateway", phase="authn", service="oathkeeper", where="refusal", reason="not active",
    why="Rule 12: of several attempts at one thing the last; Oathkeeper is the proxy at the entry.")

trace(
    "oathkeeper-grpc-verdict",
    (inbox := Service("inbox", "go")).answer("mail.v1.Inbox/List", "UNAUTHENTICATED", inbox.span(
        "middleware.UnaryInterceptor", attrs={"oathkeeper.verdict": "denied"}, scope=OATH, status="error", mark="refusal",
        message="The request could not be authorized")),
    outcome="denied", phase=["authz", "authn"], service="inbox", where="refusal", layer=["api_gateway", "application"],
    why="oathkeeper.verdict=denied is the middleware's own statement.",
    doubt="the middleware is in the service's process: an in-process library takes the service's layer, the catalogue says gateway")

pom = Service("pomerium", "go")
trace(
    "pomerium-claim-unauthorized",
    pom.serve("GET /", 403, pom.answer(AUTHZ_RPC, "OK", pom.span(
        "authorize.grpc.LogAuthorizeCheck", scope="pomerium.io/authorize", mark="refusal",
        attrs={"result.allow": False, "result.allow-why-false": ["claim-unauthorized", "non-cors-request"], "result.deny": False,
               "result.deny-why-false": ["valid-client-certificate-or-none-required"]})), name="ingress"),
    outcome="denied", layer="api_gateway", phase="authz", service="pomerium", where="refusal", reason="claim-unauthorized",
    entry_status=403,
    why="result.allow is false, with its reason; Pomerium is the proxy in front.")

trace(
    "pomerium-sends-to-login",
    pom.serve("GET /", 302, pom.answer(AUTHZ_RPC, "OK", pom.span(
        "authorize.grpc.LogAuthorizeCheck", scope="pomerium.io/authorize", mark="refusal",
        attrs={"result.allow": False, "result.allow-why-false": ["user-unauthenticated"], "result.deny": False})), name="ingress",
        attrs={"http.response.header.location": ["https://sso.example/.pomerium/sign_in?redirect_uri=https%3A%2F%2Fapp.example"]}),
    outcome="denied", layer="api_gateway", phase="authn", service="pomerium", where="refusal", findings=["masked_denial"],
    entry_status=302,
    why="user-unauthenticated is authn; a redirect to a login page is a masked denial.")

trace(
    "aws-api-gateway-4xx",
    Span(Host("orders-api-gateway"), "orders-api/prod", "server", (), {
        "aws.xray.type": "AWS::ApiGateway::Stage", "aws.api_gateway.rest_api_id": "a1b2c3", "http.method": "GET",
        "http.url": "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/prod/orders", "http.client_ip": "203.0.113.30",
        "http.status_code": 403}, "", mark="edge", lasts=3.0),
    outcome="denied", layer="api_gateway", service="orders-api-gateway", where="edge", confidence=["medium"], entry_status=403,
    why="The gateway segment answered 403 without a backend subsegment.")

feeds, partner = Service("feed-importer", "node"), Service("partner-hub", "go")
trace(
    "cdn-waf-between-two-services",
    feeds.serve("POST /imports", 502,
                feeds.call(partner.serve("GET /feeds/{id}", 200), fresh=True),
                feeds.fetch("POST http://partner-hub:8080/feeds/search", 403, mark="call", lasts=3.0,
                            attrs={"http.response.header.server": ["cloudflare"], "http.response.header.cf-ray": ["8f1d0c7a9b1e2c3d-FRA"]})),
    outcome="denied", layer="edge_waf", phase="authz", service="feed-importer", where="call", confidence=["medium", "low"],
    findings=["missing_hop", "status_rewritten"], entry_status=502,
    why="Rule 7: a CLIENT span with 403 and no SERVER child is the peer's denial, layer by what the peer is: a CDN by its headers.",
    doubt="a CDN's headers also stand on the answers that it passes on; that nothing arrived at partner-hub speaks for the CDN")

firewall = Service("booking", "spring")
trace(
    "spring-http-firewall",
    spring(firewall, "GET /bookings;a=b", 400, filters(
        firewall, reached="FirewallFilter", mark="chain", status="error",
        message="The request was rejected because the URL contained a potentially malicious String \";\"",
        events=[exception("org.springframework.security.web.firewall.RequestRejectedException",
                          "The request was rejected because the URL contained a potentially malicious String \";\"")])),
    outcome="denied", layer="edge_waf", service="booking", where="chain", reason="malicious String", entry_status=400,
    why="Layers: HTTP firewalls are edge_waf; catalogue F says so of RequestRejectedException.")

trace(
    "waf-rule-on-own-proxy",
    Span(Host("haproxy-edge"), "GET /login", "server", (), {
        "http.request.method": "GET", "url.path": "/login", "url.query": "next=../../etc/passwd", "http.response.status_code": 403,
        "client.address": "198.51.100.66", "waf.action": "deny", "waf.rule.id": "930120", "waf.rule.message": "OS File Access Attempt",
        "user_agent.original": "sqlmap/1.8"}, "haproxy", mark="edge", lasts=0.5),
    outcome="denied", layer="edge_waf", service="haproxy-edge", where="edge", client_address="198.51.100.66", entry_status=403,
    why="Who is named: a proxy that refuses by itself with a WAF rule as evidence is edge_waf.")

trace(
    "preflight-is-refused",
    (api := Service("public-gw", "gin")).serve("OPTIONS", 403, path="/v2/claims", ip="192.0.2.90", agent=CHROME, mark="edge", lasts=0.4),
    outcome="denied", service="public-gw", where="edge", confidence=["medium"], entry_status=403, no_findings=["relayed_by"],
    why="Rule 6 and catalogue §4.17: the preflight itself was refused by a hop that called nobody.")

trace(
    "preflight-passes",
    api.serve("OPTIONS /v2/claims", 204, path="/v2/claims", ip="192.0.2.90", agent=CHROME, lasts=0.4,
              attrs={"http.response.header.access-control-allow-origin": ["https://app.insure.example"]}),
    outcome="no_auth_evidence", layer=None, span_id=None,
    why="Rule 6: nothing speaks of authentication or authorization.")
