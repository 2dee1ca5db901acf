"""Labelled traces of identity providers, policy engines, frameworks, stores, brokers and clouds."""

from golden.drawing import case
from golden.kit import (
    Svc,
    authorize,
    aws,
    exc,
    express,
    keycloak_event,
    openfga,
    spring,
    spring_filters,
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
spring_s = Svc("accounts", "java")
dj = Svc("portal", "django")
MAL = {"auth.subject": "mallory"}


def valid(sub="mallory", **kw):
    return gw.token(True, attrs={"auth.subject": sub}, **kw)


fga = Svc("openfga", port=8081)
kc = Svc("keycloak", "java")
kratos = Svc("kratos", "go")
hydra = Svc("hydra", "go")


def rel(code, inner, svc=orders, path="/x", **kw):
    return gw.serves(f"GET /api{path}", code, valid(), gw.calls(inner), **kw)


# ---------------------------------------------------------------------------------------- identity providers
case(
    "kc-200-login-error",
    kc.serves(
        "POST /realms/{r}/login-actions/authenticate",
        200,
        path="/realms/shop/login-actions/authenticate",
        status="error",
        tag="origin",
        events=[keycloak_event("LOGIN_ERROR", "invalid_user_credentials", username="alice")],
        ip="203.0.113.99",
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="keycloak",
    span="origin",
    reason="invalid_user_credentials",
    findings=["masked_denial"],
    principal="alice",
    confidence=["high"],
)
case(
    "kc-admin-403",
    gw.serves(
        "GET /api/admin/users",
        403,
        gw.calls(
            kc.serves(
                "GET /admin/realms/{r}/users",
                403,
                path="/admin/realms/shop/users",
                scope="io.quarkus.opentelemetry",
                tag="origin",
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authz",
    service="keycloak",
    span="origin",
    confidence=["medium"],
)
case(
    "kratos-failed",
    gw.serves(
        "POST /self-service/login",
        400,
        gw.calls(
            kratos.serves(
                "POST /self-service/login",
                400,
                tag="origin",
                events=[(None, "LoginFailed", {"SelfServiceMethodUsed": "password", "ErrorReason": "invalid credentials"})],
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="kratos",
    span="origin",
    reason="invalid credentials",
)
case(
    "kratos-whoami-401",
    gw.serves(
        "GET /api/orders",
        401,
        gw.calls(kratos.serves("GET /sessions/whoami", 401, tag="origin", scope="github.com/ory/kratos")),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="kratos",
    span="origin",
    enforced_by="edge-gateway",
)
case(
    "kratos-whoami-403-nospan",
    gw.serves("GET /api/orders", 403, gw.fetches("GET http://kratos:4433/sessions/whoami", 403, tag="origin")),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="edge-gateway",
    span="origin",
    confidence=["high"],
)
case(
    "hydra-token",
    gw.serves(
        "POST /oauth2/token",
        400,
        gw.calls(
            hydra.serves(
                "POST /oauth2/token",
                400,
                hydra.span(
                    "oauth2.newTokenHandler",
                    tag="origin",
                    events=[(None, "OAuth2TokenExchangeError", {"ErrorReason": "invalid_grant", "OAuth2ClientID": "web"})],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="hydra",
    span="origin",
    reason="invalid_grant",
)
zit = Svc("zitadel", "go")
case(
    "zitadel",
    gw.serves(
        "POST /login",
        401,
        gw.calls(
            zit.serves(
                "POST /v2/sessions",
                401,
                zit.span(
                    "internal/api/ui/login/v2/(*Login).check",
                    tag="origin",
                    attrs={"grpc_code": 16, "grpc_msg": "Password is invalid", "error_id": "COMMAND-3M0fs"},
                    status="error",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="zitadel",
    span="origin",
    reason="Password is invalid",
)
case(
    "token-400-nospan",
    gw.serves(
        "POST /login",
        401,
        gw.calls(
            bff.serves("POST /login", 401, bff.fetches("POST https://login.vendor.example/oauth2/token", 400, tag="origin"))
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="web-bff",
    span="origin",
    confidence=["medium", "low"],
)
case(
    "userinfo-401",
    gw.serves("GET /api/x", 401, gw.fetches("GET https://login.vendor.example/oidc/userinfo", 401, tag="origin")),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="edge-gateway",
    span="origin",
    confidence=["high"],
)
case(
    "introspect-200-then-401",
    gw.serves("GET /api/x", 401, gw.calls(identity.serves("POST /oauth2/introspect", 200, tag="origin"))),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="identity",
    span="origin",
    confidence=["medium"],
    enforced_by="edge-gateway",
)
case(
    "introspect-explicit",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(identity.serves("POST /oauth2/introspect", 200, identity.token(False, "token is not active", tag="origin"))),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="identity",
    span="origin",
    confidence=["high"],
    enforced_by="edge-gateway",
)
case(
    "cognito",
    gw.serves(
        "POST /login",
        401,
        gw.calls(
            shop.serves(
                "POST /login",
                401,
                shop.span(
                    "Cognito Identity Provider.InitiateAuth",
                    kind="client",
                    scope="opentelemetry.instrumentation.botocore",
                    tag="origin",
                    status="error",
                    message="NotAuthorizedException: Incorrect username or password.",
                    attrs={
                        "rpc.system": "aws-api",
                        "rpc.service": "Cognito Identity Provider",
                        "rpc.method": "InitiateAuth",
                        "http.status_code": 400,
                    },
                ),
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="shop",
    span="origin",
    reason="Incorrect username",
    confidence=["high"],
)
case(
    "ldap-49",
    gw.serves(
        "POST /login",
        401,
        gw.calls(
            spring_s.serves(
                "POST /login",
                401,
                spring_s.span(
                    "ldap bind",
                    kind="client",
                    tag="origin",
                    status="error",
                    message="[LDAP: error code 49 - 80090308: LdapErr: DSID-0C0903A9, AcceptSecurityContext error, data 52e]",
                    attrs={"server.address": "ad.corp.example", "server.port": 389},
                    events=[exc("javax.naming.AuthenticationException", "[LDAP: error code 49 - data 52e]")],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="identity_provider",
    phase="authn",
    service="accounts",
    span="origin",
)
# ---------------------------------------------------------------------------------------- policy engines
case(
    "opa-server-403",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.calls(opa.serves("POST /v1/data/orders/allow", 200, tag="origin", attrs={"opa.decision_id": "1"})),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    phase="authz",
    service="opa",
    span="origin",
    enforced_by="orders",
    confidence=["medium"],
)
case(
    "opa-nospan-403",
    rel(403, orders.serves("GET /x", 403, orders.fetches("POST http://opa:8181/v1/data/orders/allow", 200, tag="origin"))),
    outcome="denied",
    layer="policy_engine",
    service="orders",
    span="origin",
    enforced_by="orders",
    confidence=["medium"],
)
case(
    "opa-then-check",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.fetches("POST http://opa:8181/v1/data/orders/allow", 200),
            orders.check(False, "not the owner", tag="origin"),
        ),
    ),
    outcome="denied",
    layer="application",
    service="orders",
    span="origin",
)
case(
    "opa-500",
    rel(403, orders.serves("GET /x", 403, orders.calls(opa.serves("POST /v1/data/orders/allow", 500, tag="origin")))),
    outcome="error",
    layer="policy_engine",
    service="opa",
    span="origin",
    findings=["fail_closed"],
)
case(
    "opa-ok",
    rel(
        200,
        orders.serves("GET /x", 200, orders.fetches("POST http://opa:8181/v1/data/orders/allow", 200), orders.sql("SELECT 1")),
    ),
    outcome="allowed",
    layer=None,
    layers=[["policy_engine", "allow"]],
)
case(
    "opa-only-ok",
    gw.serves(
        "GET /x", 200, gw.calls(orders.serves("GET /x", 200, orders.fetches("POST http://opa:8181/v1/data/orders/allow", 200)))
    ),
    outcome="allowed",
    layer=None,
    confidence=["medium"],
)
cer = Svc("cerbos", "go", port=3592)
case(
    "cerbos-nospan",
    rel(403, orders.serves("GET /x", 403, orders.fetches("POST http://cerbos:3592/api/check/resources", 200, tag="origin"))),
    outcome="denied",
    layer="policy_engine",
    service="orders",
    span="origin",
    confidence=["medium"],
)
case(
    "cerbos-grpc",
    rel(
        403,
        orders.serves(
            "GET /x",
            403,
            orders.asks(
                cer.answers(
                    "cerbos.svc.v1.CerbosService/CheckResources",
                    "OK",
                    cer.span(
                        "engine.Check", scope="cerbos.dev/cerbos", attrs={"cerbos.policy.fqn": "cerbos.resource.order.v1"}
                    ),
                    tag="origin",
                )
            ),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="cerbos",
    span="origin",
    confidence=["medium"],
)
case(
    "fga-error",
    rel(
        403,
        docs.serves(
            "GET /x",
            403,
            docs.asks(
                fga.answers(
                    "openfga.v1.OpenFGAService/Check",
                    "DEADLINE_EXCEEDED",
                    openfga(fga, "Check", user="user:anne", relation="editor", object="d:1"),
                )
            ),
        ),
    ),
    outcome="error",
    layer="policy_engine",
    findings=["fail_closed"],
    service="openfga",
)
case(
    "fga-shadow",
    rel(
        200,
        docs.serves(
            "GET /x",
            200,
            docs.asks(
                fga.answers(
                    "openfga.v1.OpenFGAService/Check",
                    "OK",
                    openfga(fga, "Check", allowed=True, user="user:a", relation="r", object="d:1"),
                    fga.span(
                        "shadowV2Check",
                        openfga(fga, "Check", allowed=False),
                        scope="openfga/pkg/server",
                        attrs={"matches": False},
                    ),
                )
            ),
        ),
    ),
    outcome="allowed",
    layer=None,
    no_findings=["fail_open"],
)
sp = Svc("spicedb", "go")
case(
    "spicedb",
    rel(
        403,
        docs.serves(
            "GET /x",
            403,
            docs.asks(
                sp.answers(
                    "authzed.api.v1.PermissionsService/CheckPermission",
                    "OK",
                    sp.span("DispatchCheck → document#view", attrs={"spicedb.internal.dispatch.resource_type": "document"}),
                    tag="origin",
                )
            ),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="spicedb",
    span="origin",
    confidence=["medium"],
)
case(
    "spicedb-token",
    rel(
        500,
        docs.serves(
            "GET /x",
            500,
            docs.asks(
                sp.answers("authzed.api.v1.PermissionsService/CheckPermission", "UNAUTHENTICATED", tag="origin"),
                message="invalid preshared key",
            ),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    phase="authn",
    service="spicedb",
    span="origin",
    findings=["status_rewritten"],
)
keto = Svc("keto", "go")
case(
    "keto-403",
    rel(
        403,
        docs.serves(
            "GET /x",
            403,
            docs.calls(keto.serves("GET /relation-tuples/check", 403, tag="origin", path="/relation-tuples/check")),
        ),
    ),
    outcome="denied",
    layer="policy_engine",
    service="keto",
    span="origin",
    enforced_by="docs",
    confidence=["high", "medium"],
)
case(
    "keto-openapi",
    rel(403, docs.serves("GET /x", 403, docs.fetches("GET http://keto:4466/relation-tuples/check/openapi", 200, tag="origin"))),
    outcome="denied",
    layer="policy_engine",
    service="docs",
    span="origin",
    confidence=["medium"],
)
case(
    "keto-nospan-403",
    rel(403, docs.serves("GET /x", 403, docs.fetches("GET http://keto:4466/relation-tuples/check", 403, tag="origin"))),
    outcome="denied",
    layer="policy_engine",
    service="docs",
    span="origin",
    confidence=["high"],
)
case(
    "cedar",
    rel(
        403,
        docs.serves(
            "GET /x",
            403,
            docs.span("cedar.authorization", tag="origin", attrs={"cedar.decision": "Deny", "cedar.action": "read"}),
        ),
    ),
    outcome="denied",
    layer="application",
    service="docs",
    span="origin",
    confidence=["high"],
)
case(
    "casbin",
    gw.serves("GET /x", 403, gw.span("casbin.Enforce", tag="origin", attrs={"casbin.allowed": False})),
    outcome="denied",
    layer="api_gateway",
    service="edge-gateway",
    span="origin",
)


# ---------------------------------------------------------------------------------------- frameworks
def sauth(ok, cls="BadCredentialsException", msg="Bad credentials", tag=None):
    return spring_s.span(
        "authenticate usernamepassword",
        scope="org.springframework.boot",
        tag=tag,
        status="unset" if ok else "error",
        attrs={
            "authentication.request.type": "UsernamePasswordAuthenticationToken",
            "authentication.failure.type": "n/a" if ok else cls,
            "authentication.method": "ProviderManager",
        },
        events=[] if ok else [exc(f"org.springframework.security.authentication.{cls}", msg)],
    )


case(
    "spring-badcred",
    gw.serves(
        "POST /api/login",
        401,
        gw.calls(spring(spring_s, "POST /login", 401, spring_filters(spring_s, sauth(False, tag="origin")))),
    ),
    outcome="denied",
    phase="authn",
    service="accounts",
    span="origin",
    reason="Bad credentials",
    confidence=["high"],
)
case(
    "spring-store-down",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            spring(
                spring_s,
                "GET /x",
                401,
                spring_filters(
                    spring_s, sauth(False, "AuthenticationServiceException", "Could not reach user store", tag="origin")
                ),
            )
        ),
    ),
    outcome="error",
    phase="authn",
    service="accounts",
    span="origin",
    findings=["fail_closed"],
)
case(
    "spring-anon",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            spring(
                spring_s,
                "GET /x",
                401,
                spring_filters(
                    spring_s,
                    authorize(
                        spring_s,
                        False,
                        "AuthorizationDecision [granted=false]",
                        "[ROLE_ANONYMOUS]",
                        user="AnonymousAuthenticationToken",
                        tag="origin",
                    ),
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="accounts",
    span="origin",
)
case(
    "spring-error-dispatch",
    gw.serves(
        "DELETE /api/x",
        403,
        gw.calls(
            spring(
                spring_s,
                "DELETE /x",
                403,
                spring_filters(spring_s, authorize(spring_s, False, "hasRole('ADMIN')", "[ROLE_USER]", tag="origin")),
                spring_s.span(
                    "authorize request",
                    scope="org.springframework.boot",
                    attrs={
                        "spring.security.authorization.decision": "false",
                        "uri": "/error",
                        "spring.security.authorization.decision.details": "x",
                    },
                    status="error",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authz",
    span="origin",
    reason="ADMIN",
)
case(
    "spring-micrometer-plain",
    gw.serves("GET /api/x", 403, gw.calls(spring(spring_s, "GET /x", 403, tag="origin"))),
    outcome="denied",
    layer="application",
    phase="authz",
    service="accounts",
    span="origin",
    confidence=["medium"],
    entry_status=403,
)
case(
    "spring-csrf",
    gw.serves(
        "POST /api/x",
        403,
        gw.calls(
            spring(
                spring_s,
                "POST /x",
                403,
                spring_s.span(
                    "security filterchain before",
                    scope="org.springframework.boot",
                    tag="origin",
                    status="error",
                    attrs={"spring.security.reached.filter.name": "CsrfFilter"},
                    events=[
                        exc(
                            "org.springframework.security.web.csrf.MissingCsrfTokenException",
                            "Could not verify the provided CSRF token",
                        )
                    ],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="accounts",
    span="origin",
)
case(
    "spring-firewall",
    gw.serves(
        "GET /api/x",
        400,
        gw.calls(
            spring(
                spring_s,
                "GET /x",
                400,
                spring_s.span(
                    "security filterchain before",
                    scope="org.springframework.boot",
                    tag="origin",
                    status="error",
                    attrs={"spring.security.reached.filter.name": "x"},
                    events=[
                        exc(
                            "org.springframework.security.web.firewall.RequestRejectedException",
                            "The request was rejected because the URL contained a potentially malicious String",
                        )
                    ],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="edge_waf",
    service="accounts",
    span="origin",
)
for n, s in (
    ("aspnet", Svc("tax", "dotnet")),
    ("javaagent", Svc("ja", "java")),
    ("fastapi", Svc("fa", "python")),
    ("flask", Svc("fl", "flask")),
    ("drf", Svc("drf", "django")),
):
    case(
        f"plain-{n}",
        gw.serves("GET /api/x", 401, gw.calls(s.serves("GET /x", 401, tag="origin"))),
        outcome="denied",
        layer="application",
        phase="authn",
        span="origin",
        confidence=["medium"],
    )
case(
    "django-perm",
    gw.serves(
        "GET /api/x",
        403,
        gw.calls(
            dj.serves(
                "GET /x",
                403,
                tag="origin",
                status="error",
                events=[exc("django.core.exceptions.PermissionDenied", "not your report")],
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authz",
    service="portal",
    span="origin",
    reason="not your report",
    confidence=["high"],
)
case(
    "django-csrf",
    gw.serves("POST /api/x", 403, gw.calls(dj.serves("POST /x", 403, tag="origin", attrs={}))),
    outcome="denied",
    layer="application",
    span="origin",
)
exs = Svc("cart", "node")
case(
    "express-role",
    gw.serves(
        "GET /api/x",
        403,
        gw.calls(exs.serves("GET /x", 403, *express(exs, "query", "authenticate", "requireRole", last="origin"))),
    ),
    outcome="denied",
    layer="application",
    phase="authz",
    service="cart",
    span="origin",
    confidence=["medium"],
    layers=[["application", "allow"], ["application", "deny"]],
)
case(
    "express-jwt",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            exs.serves(
                "GET /x",
                401,
                exs.span(
                    "middleware - middleware",
                    tag="origin",
                    status="error",
                    attrs={"express.type": "middleware", "express.name": "middleware"},
                    scope="@opentelemetry/instrumentation-express",
                    events=[exc("credentials_required", "No authorization token was found")],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="cart",
    span="origin",
    reason="No authorization token",
)
case(
    "express-parsers-only",
    gw.serves(
        "GET /api/x",
        403,
        gw.calls(exs.serves("GET /x", 403, *express(exs, "query", "expressInit", "jsonParser"), tag="origin")),
    ),
    outcome="denied",
    layer="application",
    service="cart",
    span="origin",
    confidence=["medium"],
)
case(
    "express5-router",
    gw.serves(
        "GET /api/x",
        401,
        gw.calls(
            exs.serves(
                "GET /x",
                401,
                exs.span(
                    "request handler",
                    attrs={"express.type": "request_handler", "express.name": "/x"},
                    scope="@opentelemetry/instrumentation-express",
                ),
                exs.span(
                    "request handler - /x",
                    tag="origin",
                    attrs={"router.name": "authenticate"},
                    scope="@opentelemetry/instrumentation-router",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="cart",
    span="origin",
)
nest = Svc("returns", "node")
NS = "@opentelemetry/instrumentation-nestjs-core"


def rc(*k, tag=None, t="ForbiddenException", m="Forbidden resource"):
    return nest.span(
        "R.remove",
        *k,
        tag=tag,
        status="error",
        message=m,
        scope=NS,
        events=[exc(t, m)],
        attrs={"nestjs.type": "request_context", "nestjs.callback": "remove"},
    )


case(
    "nest-handler",
    gw.serves(
        "DELETE /api/r",
        403,
        gw.calls(
            nest.serves(
                "DELETE /r",
                403,
                rc(
                    nest.span(
                        "remove",
                        scope=NS,
                        tag="origin",
                        status="error",
                        attrs={"nestjs.type": "handler"},
                        events=[exc("ForbiddenException", "return window closed")],
                    ),
                    m="return window closed",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    service="returns",
    span="origin",
    reason="return window",
)
case(
    "nest-throttler",
    gw.serves(
        "DELETE /api/r",
        429,
        gw.calls(
            nest.serves("DELETE /r", 429, rc(tag="origin", t="ThrottlerException", m="ThrottlerException: Too Many Requests"))
        ),
    ),
    outcome="denied",
    layer="rate_limiter",
    service="returns",
    span="origin",
)
case(
    "nest-unauth",
    gw.serves(
        "DELETE /api/r",
        401,
        gw.calls(nest.serves("DELETE /r", 401, rc(tag="origin", t="UnauthorizedException", m="Unauthorized"))),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="returns",
    span="origin",
)
case(
    "nest-db-42501",
    gw.serves(
        "DELETE /api/r",
        500,
        gw.calls(
            nest.serves(
                "DELETE /r",
                500,
                rc(
                    nest.span(
                        "remove",
                        nest.sql(
                            "DELETE FROM r WHERE id=$1",
                            db="returns",
                            error=("42501", "permission denied for table r"),
                            tag="origin",
                        ),
                        scope=NS,
                        status="error",
                        attrs={"nestjs.type": "handler"},
                        events=[exc("42501", "permission denied for table r")],
                    ),
                    t="42501",
                    m="permission denied for table r",
                ),
            )
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    service="returns",
    span="origin",
    findings=["status_rewritten"],
    confidence=["high"],
)
ff = Svc("feeds", "node")
FS = "@fastify/otel"
case(
    "fastify-hook",
    gw.serves(
        "GET /api/f",
        401,
        gw.calls(
            ff.serves(
                "GET /f",
                401,
                ff.span(
                    "request",
                    ff.span(
                        "onRequest - authenticate",
                        tag="origin",
                        scope=FS,
                        attrs={"fastify.type": "hook", "hook.callback.name": "authenticate"},
                        status="error",
                        message="jwt expired",
                        events=[exc("Error", "jwt expired")],
                    ),
                    scope=FS,
                    status="error",
                    attrs={"http.response.status_code": 401},
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authn",
    service="feeds",
    span="origin",
    reason="jwt expired",
)
ko = Svc("koa-svc", "node")
KS = "@opentelemetry/instrumentation-koa"
case(
    "koa",
    gw.serves(
        "GET /api/k",
        403,
        gw.calls(
            ko.serves(
                "GET /k",
                403,
                ko.span(
                    "middleware - logger",
                    ko.span(
                        "middleware - acl",
                        tag="origin",
                        scope=KS,
                        attrs={"koa.name": "acl", "koa.type": "middleware"},
                        events=[exc("ForbiddenError", "no access to k")],
                    ),
                    scope=KS,
                    attrs={"koa.name": "logger", "koa.type": "middleware"},
                    events=[exc("ForbiddenError", "no access to k")],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="application",
    phase="authz",
    service="koa-svc",
    span="origin",
    reason="no access",
)
# ---------------------------------------------------------------------------------------- stores
for d, conf in (
    ("psycopg2", "high"),
    ("sqlalchemy", "medium"),
    ("pg", "high"),
    ("pgx", "high"),
    ("otelsql", "medium"),
    ("jdbc", "medium"),
    ("npgsql", "high"),
    ("pdo", "high"),
    ("asyncpg", "high"),
):
    case(
        f"pg-{d}",
        rel(
            500,
            orders.serves(
                "GET /x",
                500,
                orders.sql("SELECT * FROM t", driver=d, error=("42501", "permission denied for table t"), tag="origin"),
            ),
        ),
        outcome="denied",
        layer="database",
        phase="authz",
        service="orders",
        span="origin",
        confidence=[conf],
        findings=["status_rewritten"],
    )
case(
    "pg-login-server-only",
    rel(
        500,
        orders.serves(
            "GET /x",
            500,
            tag="origin",
            events=[
                exc("psycopg.OperationalError", 'connection failed: FATAL:  password authentication failed for user "orders"')
            ],
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authn",
    service="orders",
    span="origin",
    confidence=["medium"],
)
case(
    "pg-conn-refused",
    rel(503, orders.serves("GET /x", 503, orders.sql("SELECT 1", error=("08006", "connection refused"), tag="origin"))),
    outcome="error",
    layer="database",
    service="orders",
    span="origin",
)


def my(svc, name, msg, tag="origin", etype=None, ev=None, system="mysql", **a):
    return svc.span(
        name,
        kind="client",
        tag=tag,
        status="error",
        message=msg,
        attrs={
            "db.system": system,
            "db.statement": "SELECT * FROM t",
            "net.peer.name": "db",
            **({"error.type": etype} if etype else {}),
            **a,
        },
        events=ev or [],
    )


case(
    "mysql2-words",
    rel(500, billing.serves("GET /x", 500, my(billing, "SELECT", "SELECT command denied to user 'b'@'h' for table 't'"))),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["medium"],
)
case(
    "pymysql",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            my(
                shop,
                "SELECT",
                "",
                ev=[exc("pymysql.err.OperationalError", "(1142, \"SELECT command denied to user 'b'@'h' for table 't'\")")],
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
case(
    "jdbc-mysql-1045",
    rel(
        500,
        spring_s.serves(
            "GET /x",
            500,
            my(
                spring_s,
                "HikariDataSource.getConnection",
                "Access denied for user 'svc'@'h' (using password: YES)",
                etype="1045",
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authn",
    span="origin",
    confidence=["high"],
)
case(
    "mssql",
    rel(
        500,
        Svc("tax", "dotnet").serves(
            "GET /x",
            500,
            my(
                Svc("tax", "dotnet"),
                "SELECT",
                "The SELECT permission was denied on the object 'T'",
                system="mssql",
                **{"db.response.status_code": "229"},
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
case(
    "oracle",
    rel(500, spring_s.serves("GET /x", 500, my(spring_s, "SELECT", "ORA-01031: insufficient privileges", system="oracle"))),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
case(
    "mongo",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            my(
                shop,
                "find orders",
                'not authorized on shop to execute command { find: "orders" }',
                system="mongodb",
                etype="Unauthorized",
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
case(
    "mongo-words",
    rel(
        500,
        billing.serves(
            "GET /x", 500, my(billing, "mongodb.find", "not authorized on shop to execute command", system="mongodb")
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["medium"],
)
case(
    "redis-py",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            my(
                shop,
                "GET",
                "",
                system="redis",
                ev=[exc("redis.exceptions.NoPermissionError", "this user has no permissions to run the 'get' command")],
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
case(
    "redis-wrongpass",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            my(
                shop,
                "GET",
                "",
                system="redis",
                ev=[exc("redis.exceptions.AuthenticationError", "invalid username-password pair or user is disabled.")],
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authn",
    span="origin",
    confidence=["high"],
)
case(
    "es-403",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            shop.span(
                "search",
                kind="client",
                tag="origin",
                status="error",
                attrs={
                    "db.system": "elasticsearch",
                    "http.request.method": "POST",
                    "url.full": "http://es:9200/orders/_search",
                    "http.response.status_code": 403,
                },
                message="security_exception: action [indices:data/read/search] is unauthorized for user [svc]",
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
)
case(
    "clickhouse",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            my(
                shop,
                "SELECT",
                "Code: 497. DB::Exception: svc: Not enough privileges. (ACCESS_DENIED)",
                system="clickhouse",
                **{"db.response.status_code": "497"},
            ),
        ),
    ),
    outcome="denied",
    layer="database",
    phase="authz",
    span="origin",
    confidence=["high"],
)
# ---------------------------------------------------------------------------------------- brokers, clouds
case(
    "kafka-group",
    Svc("worker", "java").message(
        "consumer",
        "kafka",
        "t1",
        Svc("worker", "java").span(
            "poll",
            tag="origin",
            kind="client",
            status="error",
            attrs={"messaging.system": "kafka"},
            events=[exc("org.apache.kafka.common.errors.GroupAuthorizationException", "Not authorized to access group: g1")],
        ),
        status="error",
    ),
    outcome="denied",
    layer="message_broker",
    phase="authz",
    service="worker",
    span="origin",
)
case(
    "pika-login",
    rel(
        500,
        shop.serves(
            "POST /x",
            500,
            tag="origin",
            events=[
                exc(
                    "pika.exceptions.ProbableAuthenticationError",
                    "ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN'",
                )
            ],
        ),
    ),
    outcome="denied",
    layer="message_broker",
    phase="authn",
    service="shop",
    span="origin",
)
case(
    "amqplib-nack",
    gw.serves(
        "POST /api/x",
        500,
        gw.calls(
            exs.serves(
                "POST /x",
                500,
                exs.span(
                    "request handler - /x",
                    exs.message(
                        "producer",
                        "rabbitmq",
                        "parcels",
                        status="error",
                        message="message confirmation has been nack'ed",
                        scope="@opentelemetry/instrumentation-amqplib",
                        tag="broker",
                    ),
                    tag="origin",
                    status="error",
                    attrs={"express.type": "request_handler", "express.name": "/x"},
                    scope="@opentelemetry/instrumentation-express",
                    events=[
                        exc(
                            "403",
                            'Channel closed by server: 403 (ACCESS-REFUSED) "ACCESS_REFUSED - write access refused"',
                        )
                    ],
                ),
            )
        ),
    ),
    outcome="denied",
    layer="message_broker",
    phase="authz",
    service="cart",
    span=("origin", "broker"),
)
case(
    "kms",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            aws(
                shop,
                "KMS",
                "Decrypt",
                400,
                "AccessDeniedException",
                "User is not authorized to perform kms:Decrypt",
                tag="origin",
            ),
        ),
    ),
    outcome="denied",
    layer="external_service",
    phase="authz",
    service="shop",
    span="origin",
    confidence=["high"],
)
case(
    "aws-expired",
    rel(
        502,
        shop.serves(
            "GET /x", 502, aws(shop, "S3", "PutObject", 400, "ExpiredToken", "The provided token has expired.", tag="origin")
        ),
    ),
    outcome="denied",
    layer="external_service",
    phase="authn",
    service="shop",
    span="origin",
    findings=["status_rewritten"],
)
case(
    "gcp-7",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            shop.rpc(
                "client",
                "google.pubsub.v1.Publisher/Publish",
                "PERMISSION_DENIED",
                host="pubsub.googleapis.com",
                message="User not authorized to perform this action.",
                tag="origin",
            ),
        ),
    ),
    outcome="denied",
    layer="external_service",
    phase="authz",
    service="shop",
    span="origin",
)
case(
    "k8s",
    rel(
        500,
        shop.serves(
            "GET /x",
            500,
            shop.fetches("GET https://kubernetes.default.svc:443/api/v1/namespaces/shop/secrets", 403, tag="origin"),
        ),
    ),
    outcome="denied",
    layer="external_service",
    phase="authz",
    service="shop",
    span="origin",
)
case(
    "vault",
    rel(500, shop.serves("GET /x", 500, shop.fetches("GET http://vault:8200/v1/secret/data/shop", 403, tag="origin"))),
    outcome="denied",
    layer="external_service",
    service="shop",
    span="origin",
)
case(
    "vault-login",
    rel(500, shop.serves("GET /x", 500, shop.fetches("POST http://vault:8200/v1/auth/approle/login", 400, tag="origin"))),
    outcome="denied",
    layer="external_service",
    phase="authn",
    service="shop",
    span="origin",
)
case(
    "smtp",
    rel(
        500,
        shop.serves(
            "POST /x",
            500,
            shop.span(
                "smtp send",
                kind="client",
                tag="origin",
                status="error",
                attrs={"server.address": "smtp.shop.example", "server.port": 587},
                events=[exc("smtplib.SMTPAuthenticationError", "(535, b'5.7.8 Error: authentication failed')")],
            ),
        ),
    ),
    outcome="denied",
    layer="external_service",
    phase="authn",
    service="shop",
    span="origin",
)
