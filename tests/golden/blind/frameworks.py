"""What web, RPC and GraphQL frameworks leave behind when they refuse, and what only looks like it."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, exception, trace
from instruments import (
    JS,
    JVM,
    Service,
    authorize,
    fastify,
    filters,
    handler,
    koa,
    middlewares,
    nest,
    nest_handler,
    resolver,
    spring,
)

gw = Service("api-edge", "go")
bff = Service("web-bff", "node", old=True)

# ---------------------------------------------------------------------------------------- Spring, Java agent
hr = Service("payroll", "spring")
trace(
    "spring-method-security",
    gw.serve("POST /payroll/run", 403, gw.call(spring(
        hr, "POST /payroll/run", 403, filters(hr, authorize(hr, True, "AuthorizationDecision [granted=true]", roles="[ROLE_CLERK]")),
        hr.span("secured request", authorize(hr, False, "ExpressionAuthorizationDecision [granted=false, expressionAttribute=hasAuthority('payroll:run')]",
                                             on="method", roles="[ROLE_CLERK]", mark="refusal"), scope="org.springframework.boot"),
        exc="AuthorizationDeniedException"))),
    outcome="denied", layer="application", phase="authz", service="payroll", where="refusal", reason="payroll:run", enforced_by="payroll",
    findings=["relayed_by"], confidence=["high"],
    why="Rule 12: the caller went on to a later check of its own that refused; the method's check is the origin.")

trace(
    "spring-anonymous-and-error-dispatch",
    spring(hr, "GET /payslips", 401,
           filters(hr, authorize(hr, False, "AuthorizationDecision [granted=false]", who="AnonymousAuthenticationToken", roles="[ROLE_ANONYMOUS]", mark="refusal")),
           filters(hr, authorize(hr, False, "AuthorizationDecision [granted=false]", who="AnonymousAuthenticationToken", roles="[ROLE_ANONYMOUS]"))),
    outcome="denied", layer="application", phase="authn", service="payroll", where="refusal", entry_status=401,
    why="Rule 12: a framework's error dispatch does not count; catalogue §4.22: a denial of an anonymous user is a login challenge.")

trace(
    "java-agent-stops-before-route",
    gw.serve("GET /api/policies", 403, gw.call((agent := Service("policies", "java", old=True)).serve("GET /*", 403, path="/policies", mark="leaf", attrs={
        "enduser.id": "agt-55", "enduser.role": "BROKER", "thread.name": "http-nio-8080-exec-4"})), ip="192.0.2.14"),
    outcome="denied", layer="application", service="policies", where="leaf", principal="agt-55", confidence=["medium"], findings=["relayed_by"],
    client_address="192.0.2.14", no_findings=["pii_in_attributes"],
    why="Rule 6: the refusing hop is visible and called nobody: origin by protocol evidence.")

# ---------------------------------------------------------------------------------------- .NET, Python
trace(
    "aspnet-refuses-after-a-read",
    gw.serve("GET /api/fleets/{id}", 403, gw.call((fleet := Service("fleet", "aspnet")).serve(
        "GET fleets/{id}", 403, fleet.query("SELECT owner FROM fleets WHERE id = @p0", system="postgresql", table="fleets"), mark="leaf"))),
    outcome="denied", layer="application", service="fleet", where="leaf", confidence=["medium"], phase="authz", findings=["relayed_by"],
    why="Rule 6: a database read that succeeded is not somebody who could have refused.")

trace(
    "django-permission-denied",
    gw.serve("POST /api/grants/{id}", 403, gw.call((grants := Service("grants", "django")).serve(
        "POST grants/<int:pk>", 403, path="/grants/4711", status="error", mark="leaf", events=[exception("django.core.exceptions.PermissionDenied", "reviewers only")]))),
    outcome="denied", layer="application", phase="authz", service="grants", where="leaf", reason="reviewers only", confidence=["high"], enforced_by="grants",
    why="Catalogue F: Django's PermissionDenied is an explicit decision on the SERVER span.")

trace(
    "django-check-hidden-behind-http404",
    gw.serve("GET /api/grants/{id}", 404, gw.call(grants.serve(
        "GET grants/<int:pk>", 404, grants.query("SELECT * FROM grants WHERE id = %s", table="grants"),
        grants.check(False, "draft of another department", mark="refusal"), path="/grants/4711", status="error",
        events=[exception("django.http.response.Http404", "No Grant matches the given query.")]))),
    outcome="denied", layer="application", phase="authz", service="grants", where="refusal", reason="another department", findings=["masked_denial"],
    entry_status=404,
    why="Outcomes: denied also when masked as 404; the exception is only the mask.")

trace(
    "drf-throttle",
    Service("survey", "django", old=True).serve("POST surveys/<slug>/answers", 429, path="/surveys/q3/answers", mark="leaf", ip="203.0.113.14"),
    outcome="denied", layer="rate_limiter", service="survey", where="leaf", entry_status=429, client_address="203.0.113.14",
    why="429 is throttling, wherever it sits; DRF leaves no event.")

trace(
    "fastapi-without-any-check-span",
    gw.serve("GET /api/scores", 403, gw.call(Service("scores", "fastapi", old=True).serve("GET /scores", 403, mark="leaf"))),
    outcome="denied", layer="application", service="scores", where="leaf", confidence=["medium"], findings=["relayed_by"],
    why="Rule 6; the ASGI send spans repeat the status and decide nothing.")

trace(
    "flask-abort-401-in-entry",
    Service("kiosk", "flask", old=True).serve("GET /kiosk/<id>", 401, mark="leaf", ip="192.0.2.150"),
    outcome="denied", layer="application", phase="authn", service="kiosk", where="leaf", confidence=["medium"], entry_status=401,
    why="Rule 6: one hop, called nobody; it forwards nothing, so it is application.")

trace(
    "flask-reads-secret-store-then-refuses",
    (kiosk := Service("kiosk", "flask")).serve("POST /kiosk/<id>/unlock", 403, kiosk.query("SELECT pin FROM kiosks WHERE id = %s", table="kiosks"),
                                               kiosk.span("GET", kind="client", attrs={"db.system": "redis", "db.statement": "GET ?"}, scope="opentelemetry.instrumentation.redis"),
                                               mark="leaf"),
    outcome="denied", layer="application", phase="authz", service="kiosk", where="leaf", confidence=["medium"], no_findings=["missing_hop", "uninstrumented_peer"],
    why="Rule 6: reads that succeeded do not count; databases and caches are no missing hops.")

trace(
    "rails-cancan-message-on-controller",
    gw.serve("DELETE /api/albums/{id}", 403, gw.call((albums := Service("albums", "rails", old=True)).serve(
        "DELETE /albums/:id", 403, name="AlbumsController#destroy", mark="leaf",
        events=[exception("CanCan::AccessDenied", "You are not authorized to access this page.")]))),
    outcome="denied", layer="application", phase="authz", service="albums", where="leaf", reason="not authorized",
    why="A framework's typed exception on the span that refused.")

# ---------------------------------------------------------------------------------------- Express
trace(
    "express4-scope-guard",
    gw.serve("PUT /api/menus/{id}", 403, gw.call(bff.serve("PUT /menus/:id", 403, *middlewares(bff, "query", "expressInit", "jsonParser", "requireScope", last="guard")))),
    outcome="denied", layer="application", service="web-bff", where="guard", confidence=["medium"], entry_status=403,
    why="Rule 6: a named middleware that is the last before its refusal is the deciding span (medium).")

trace(
    "express4-guard-passes-handler-refuses-below",
    bff.serve("PUT /menus/:id", 403, *middlewares(bff, "query", "expressInit", "authenticate"), handler(bff, "/menus/:id", bff.call(
        (menus := Service("menus", "go")).serve("PUT /menus/{id}", 403, menus.check(False, "chef role required", mark="refusal")), fresh=True))),
    outcome="denied", layer="application", phase="authz", service="menus", where="refusal", reason="chef role", findings=["relayed_by"], confidence=["high"],
    why="Rule 2: a handler ran and relayed what the hop below refused.")

jwt_app = Service("notify", "undici")
trace(
    "express-jwt-wrong-audience",
    gw.serve("POST /api/notify", 401, gw.call(jwt_app.serve("POST /notify", 401, *middlewares(
        jwt_app, "query", "expressInit", "middleware", last="guard", fault=exception("invalid_token", "jwt audience invalid. expected: notify"))))),
    outcome="denied", layer="application", phase="authn", service="notify", where="guard", reason="audience", confidence=["high"],
    why="express-jwt's own error class on its middleware span is explicit.")

trace(
    "express-rate-limit",
    jwt_app.serve("POST /notify", 429, *middlewares(jwt_app, "query", "expressInit", "rateLimit", last="guard"), ip="203.0.113.15"),
    outcome="denied", layer="rate_limiter", service="notify", where="guard", entry_status=429,
    why="Rule 6: a named limiter that is the last before its refusal is the deciding span.")

ROUTER = f"{JS}-router#0.54.0"
trace(
    "express5-router-guard",
    gw.serve("GET /api/seats", 401, gw.call((seats := Service("seats", "node")).serve(
        "GET /seats", 401,
        seats.span("middleware - patched", attrs={"router.name": "patched", "router.type": "middleware"}, scope=ROUTER, lasts=0.1),
        seats.span("request handler", seats.span("request handler - /seats", attrs={"router.name": "authenticate", "router.type": "request_handler", "http.route": "/seats"},
                                                 scope=ROUTER, lasts=0.9, mark="guard"),
                   attrs={"express.name": "/seats", "express.type": "request_handler", "http.route": "/seats"}, scope=f"{JS}-express#0.57.0", mark="outer"),
        mark="leaf"))),
    outcome="denied", layer="application", phase="authn", service="seats", where="guard",
    why="Catalogue F: in Express 5 the last router sibling is the one that answered; a named guard is the deciding span.")

trace(
    "express5-guard-hidden-in-route",
    gw.serve("GET /api/seats/{id}", 403, gw.call(seats.serve("GET /seats/:id", 403, seats.span(
        "request handler", attrs={"express.name": "/seats/:id", "express.type": "request_handler", "http.route": "/seats/:id"},
        scope=f"{JS}-express#0.57.0", mark="outer"), mark="leaf"))),
    outcome="denied", layer="application", service="seats", where=("leaf", "outer"), confidence=["medium"],
    why="Rule 6: the hop answered 403 and called nobody; a request handler span does not prove that the handler ran.")

# ---------------------------------------------------------------------------------------- NestJS, Fastify, Koa
shop = Service("loyalty", "node")
trace(
    "nest-guard-unauthorized",
    gw.serve("GET /api/points", 401, gw.call(shop.serve("GET /points", 401, *middlewares(shop, "query", "expressInit"), handler(
        shop, "/points", nest(shop, "PointsController", "mine", fault=exception("UnauthorizedException", "Unauthorized"), mark="guard"))))),
    outcome="denied", layer="application", phase="authn", service="loyalty", where="guard", reason="Unauthorized", confidence=["high"],
    why="Catalogue F: request_context in error without a handler child is a guard's refusal; the request handler span proves nothing.")

trace(
    "nest-throttler",
    shop.serve("POST /points/redeem", 429, handler(shop, "/points/redeem", nest(
        shop, "PointsController", "redeem", fault=exception("ThrottlerException", "ThrottlerException: Too Many Requests"), mark="guard"))),
    outcome="denied", layer="rate_limiter", service="loyalty", where="guard", entry_status=429,
    why="Catalogue F: ThrottlerException in the guard's place is the rate limiter's.")

trace(
    "nest-business-code-forbids",
    gw.serve("POST /api/points/gift", 403, gw.call(shop.serve("POST /points/gift", 403, handler(shop, "/points/gift", nest(
        shop, "PointsController", "gift", nest_handler(shop, "gift", fault=exception("ForbiddenException", "gifts only between verified members"), mark="handler"),
        fault=exception("ForbiddenException", "gifts only between verified members"), mark="context"))))),
    outcome="denied", layer="application", phase="authz", service="loyalty", where=("handler", "context"), reason="verified members", confidence=["high"],
    why="With a handler child the same exception came from business code: still the application's refusal.")

fast = Service("parcel-api", "undici")
trace(
    "fastify-hook-throws",
    gw.serve("GET /api/parcels", 401, gw.call(fast.serve("GET /parcels", 401, fast.span(
        "request", fastify(fast, "onRequest - corsPreflight", lasts=0.1), fastify(fast, "preValidation - verifyJwt", status="error", mark="hook", lasts=0.6,
                                                          message="No Authorization was found in request.headers", events=[
                                                              exception("FST_JWT_NO_AUTHORIZATION_IN_HEADER", "No Authorization was found in request.headers")]),
        scope="@fastify/otel#0.11.0", attrs={"http.request.method": "GET", "http.response.status_code": 401, "fastify.root": "@fastify/otel"}, status="error")))),
    outcome="denied", layer="application", phase="authn", service="parcel-api", where="hook", reason="No Authorization",
    why="A hook in ERROR under a 401 without a request handler is the refusal.")

trace(
    "fastify-hook-replies-itself",
    fast.serve("DELETE /parcels/:id", 403, fast.span(
        "request", fastify(fast, "onRequest - requestId", lasts=0.1), fastify(fast, "preHandler - mustOwnParcel", mark="hook", lasts=0.6),
        scope="@fastify/otel#0.11.0", attrs={"http.request.method": "DELETE", "http.response.status_code": 403})),
    outcome="denied", layer="application", service="parcel-api", where="hook", confidence=["medium"], entry_status=403,
    why="Rule 6: the last named hook before the refusal, with no handler after it.")

thrown = exception("ForbiddenError", "trainees may not sign off")
trace(
    "koa-throws-through-the-stack",
    gw.serve("POST /api/signoff", 403, gw.call((koa_app := Service("signoff", "node")).serve("POST /signoff", 403, koa(
        koa_app, "errorPage", koa(koa_app, "session", koa(koa_app, "requireSenior", events=[thrown], mark="guard"), events=[thrown]), events=[thrown])))),
    outcome="denied", layer="application", phase="authz", service="signoff", where="guard", reason="trainees",
    why="Catalogue F: ctx.throw marks every enclosing span; the innermost middleware without a router below stopped the request.")

# ---------------------------------------------------------------------------------------- GraphQL
GRAPHQL_JAVA = f"{JVM}.graphql-java-20.0#2.22.0-alpha"
trace(
    "graphql-java-mutation-refused",
    gw.serve("POST /graphql", 200, gw.call((gj := Service("catalogue-graph", "java")).serve("POST /graphql", 200, gj.span(
        "mutation RetireProduct", scope=GRAPHQL_JAVA, status="error", mark="operation", attrs={"graphql.operation.type": "mutation", "graphql.operation.name": "RetireProduct"},
        events=[exception("ForbiddenException", "Access Denied: product:retire required")])))),
    outcome="denied", layer="application", phase="authz", service="catalogue-graph", where="operation", reason="product:retire", findings=["masked_denial"],
    entry_status=200,
    why="Rule 14: an operation refused as a whole is denied with masked_denial.")

gn = Service("staff-graph", "node")
trace(
    "graphql-one-field-refused",
    gw.serve("POST /graphql", 200, gw.call(gn.serve("POST /graphql", 200, gn.span(
        "query", resolver(gn, "employee", gn.query("SELECT * FROM employees WHERE id = $1", table="employees")),
        resolver(gn, "employee.name"), resolver(gn, "employee.salary", fault="Not allowed to read salary", mark="field"),
        scope=f"{JS}-graphql#0.56.0", attrs={"graphql.operation.type": "query", "graphql.operation.name": "Employee"})))),
    outcome="partially_denied", layer="application", phase="authz", service="staff-graph", where="field", reason="salary", entry_status=200,
    no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 14: a field refused beside others that resolved is partially_denied.")

trace(
    "graphql-fault-is-no-refusal",
    gw.serve("POST /graphql", 200, gw.token(True, attrs={"auth.subject": "e-5"}), gw.call(gn.serve("POST /graphql", 200, gn.span(
        "query", resolver(gn, "team", fault="Cannot read properties of undefined (reading 'members')", type_="TypeError"),
        scope=f"{JS}-graphql#0.56.0", attrs={"graphql.operation.type": "query"})))),
    outcome=["allowed", "error"], no_findings=["masked_denial", "fail_open"],
    why="Rule 5 and catalogue A: only the text tells a denial from a fault, and this one is a fault.",
    doubt="whether a fault behind a 200 is `allowed` or `error` the law does not say")

# ---------------------------------------------------------------------------------------- RPC
trace(
    "grpc-node-server-in-error",
    gw.serve("GET /api/wallets/{id}", 401, gw.ask((wallet := Service("wallets", "node", old=True)).answer(
        "wallet.v1.Wallets/Get", "UNAUTHENTICATED", text="token issuer is not trusted", mark="leaf"))),
    outcome="denied", layer="application", phase="authn", service="wallets", where="leaf", reason="issuer", entry_status=401, findings=["relayed_by"],
    why="Explicit gRPC refusal; Node sets ERROR and grpc.error_message where others stay unset.")

py = Service("route-planner", "fastapi")
trace(
    "grpc-python-abort",
    py.serve("GET /routes", 403, py.ask((zones := Service("zones", "fastapi")).answer(
        "zones.v1.Zones/Restrictions", "PERMISSION_DENIED", text="zone data is not licensed for this account", mark="leaf",
        events=[exception("grpc._cython.cygrpc.AbortError", "Locally aborted.")]))),
    outcome="denied", layer="application", phase="authz", service="zones", where="leaf", reason="not licensed", entry_status=403, findings=["relayed_by"],
    why="Catalogue A: abort() leaves an empty exception as a consequence; the text is in the caller's repr.")

trace(
    "connect-rpc-code",
    gw.serve("POST /acme.v1.Plans/Change", 403, (plans := Service("plans", "go")).serve(
        "POST /acme.v1.Plans/Change", 403, mark="leaf", scope="connectrpc.com/otelconnect", name="acme.v1.Plans/Change",
        attrs={"rpc.system": "connect_rpc", "rpc.service": "acme.v1.Plans", "rpc.method": "Change", "rpc.connect_rpc.error_code": "permission_denied"},
        events=[Event("message", {"message.type": "SENT", "message.id": 1})])),
    outcome="denied", layer="application", phase="authz", service="plans", where="leaf",
    why="The RPC's own code says permission_denied; it called nobody.")

trace(
    "check-passes-then-same-hop-answers-403",
    gw.serve("GET /api/albums/{id}", 403, gw.call((alb := Service("album-store", "gin")).serve(
        "GET /albums/:id", 403, alb.check(True, attrs={"auth.subject": "u-6"}), alb.query("SELECT * FROM albums WHERE id = $1", table="albums"), mark="leaf"))),
    outcome="denied", layer="application", service="album-store", where="leaf", confidence=["medium", "low"], principal="u-6",
    why="Rules 4 and 6: the visible check allowed and the hop still answered 403, having asked nobody: protocol evidence, lowered.")
