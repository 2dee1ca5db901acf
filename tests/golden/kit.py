"""What common instrumentations write into a span, so that a case reads like the request it draws.

    gateway, orders = Svc("edge-gateway", "go"), Svc("orders", "python", old=True)
    gateway.serves("GET /api/orders/{id}", 403,
                   gateway.calls(orders.serves("GET /orders/{id}", 403, orders.check(False, "missing role orders:read"))))

`old=True` spells HTTP, RPC and SQL attributes as before the stable semantic conventions. Any further keyword goes to S.
"""

# fmt: off
# ruff: noqa: E501, E731, SIM905, SIM201
import re
from urllib.parse import urlsplit

from golden.drawing import S

LANGS = {  # language: (HTTP server scope, HTTP client scope, gRPC scope, SQL driver)
    "go": ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",) * 2
          + ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "pgx"),
    "node": ("@opentelemetry/instrumentation-http",) * 2 + ("@opentelemetry/instrumentation-grpc", "pg"),
    "python": ("opentelemetry.instrumentation.fastapi", "opentelemetry.instrumentation.httpx",
               "opentelemetry.instrumentation.grpc", "asyncpg"),
    "flask": ("opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.requests",
              "opentelemetry.instrumentation.grpc", "psycopg2"),
    "django": ("opentelemetry.instrumentation.django", "opentelemetry.instrumentation.requests",
               "opentelemetry.instrumentation.grpc", "psycopg2"),
    "java": ("io.opentelemetry.tomcat-10.0", "io.opentelemetry.java-http-client", "io.opentelemetry.grpc-1.6", "jdbc"),
    "dotnet": ("Microsoft.AspNetCore", "System.Net.Http", "OpenTelemetry.Instrumentation.GrpcNetClient", "npgsql"),
    "php": ("io.opentelemetry.contrib.php.laravel", "io.opentelemetry.contrib.php.guzzle", "", "pdo"),
    "web": ("", "@opentelemetry/instrumentation-fetch", "", ""),
}
SDK = {"flask": "python", "django": "python", "node": "nodejs", "web": "webjs"}
GRPC = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
        "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
        "UNAUTHENTICATED").split()
SQLSTATE = {"42501": "InsufficientPrivilege", "28P01": "InvalidPassword", "28000": "InvalidAuthorizationSpecification",
            "57P03": "CannotConnectNow", "08006": "ConnectionFailure"}


def filled(route):
    """A path for a route: its placeholders become 17."""
    return "/" + re.sub(r"\{[^}]*\}|:\w+|<[^>]*>", "17", route).lstrip("/")


def exc(type_, message="", at=None):
    """An exception event; `at` in ms of the trace, else near the span's end."""
    stack = f"Traceback (most recent call last):\n  File \"/app/main.py\", line 88, in handle\n{type_}: {message}"
    return at, "exception", {"exception.type": type_, "exception.message": message, "exception.stacktrace": stack,
                             "exception.escaped": "False"}


class Svc:
    def __init__(self, name, lang="go", old=False, port=8080, host=None, **resource):
        self.name, self.lang, self.old, self.port, self.host = name, lang, old, port, host or name
        self.http, self.client, self.grpc, self.driver = LANGS[lang]
        self.resource = {"telemetry.sdk.language": SDK.get(lang, lang), "telemetry.sdk.name": "opentelemetry",
                         **{k.replace("__", "."): v for k, v in resource.items()}}

    def span(self, name, *children, kind="internal", attrs=None, **kw):
        return S(self.name, name, kind, attrs=attrs, children=children, resource=self.resource, **kw)

    # ---------------------------------------------------------------- HTTP
    def serves(self, route, code, *children, path=None, ip=None, agent=None, attrs=None, scope=None, name=None, **kw):
        """A SERVER span. A route of only a method is a request that was refused before routing."""
        method, _, route = route.partition(" ")
        path = path or filled(route)
        if self.old:
            a = {"http.method": method, "http.scheme": "http", "http.host": f"{self.host}:{self.port}", "http.target": path,
                 "http.route": route, "http.client_ip": ip, "http.user_agent": agent, "http.status_code": code}
        else:
            path, _, query = path.partition("?")
            a = {"http.request.method": method, "url.scheme": "http", "url.path": path, "url.query": query,
                 "http.route": route, "server.address": self.host, "server.port": self.port, "client.address": ip,
                 "user_agent.original": agent, "network.protocol.version": "1.1", "http.response.status_code": code}
        if code >= 500:
            kw.setdefault("status", "error")
            a |= {} if self.old else {"error.type": str(code)}
        a = {k: v for k, v in a.items() if v not in (None, "")} | (attrs or {})
        s = self.span(name or f"{method} {route}".strip(), *children, kind="server", attrs=a,
                      scope=self.http if scope is None else scope, **kw)
        s.request = f"{method} http://{self.host}:{self.port}{path}", code
        return s

    def fetches(self, request, code, *children, error="", attrs=None, scope=None, name=None, peer=None, **kw):
        """A CLIENT span to a URL. code None: no answer came, and `error` says why."""
        method, _, url = request.partition(" ")
        u = urlsplit(url)
        port = u.port or (443 if u.scheme == "https" else 80)
        if self.old:
            a = {"http.method": method, "http.url": url, "net.peer.name": u.hostname, "net.peer.port": port,
                 "http.status_code": code}
        else:
            a = {"http.request.method": method, "url.full": url, "server.address": u.hostname, "server.port": port,
                 "http.response.status_code": code, "error.type": error or (str(code) if (code or 0) >= 400 else None)}
        if error or (code or 0) >= 400:
            kw.setdefault("status", "error")
        a = {k: v for k, v in a.items() if v is not None} | ({"peer.service": peer} if peer else {}) | (attrs or {})
        return self.span(name or (f"HTTP {method}" if self.old and self.lang == "go" else method), *children, kind="client",
                         attrs=a, scope=self.client if scope is None else scope, **kw)

    def calls(self, server, **kw):
        """A CLIENT span around another service's SERVER span."""
        request, code = server.request
        return self.fetches(request, code, server, **kw)

    # ---------------------------------------------------------------- gRPC
    def rpc(self, kind, method, code, *children, message="", host=None, attrs=None, scope=None, **kw):
        service, _, verb = method.rpartition("/")
        if self.old:
            a = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": verb, "rpc.grpc.status_code": GRPC.index(code),
                 **({"net.peer.name": host} if host else {})}
        else:
            a = {"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": code,
                 **({"server.address": host} if host else {})}
        bad = code != "OK" and (kind == "client" or code in ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL",
                                                             "UNAVAILABLE", "DATA_LOSS"))
        if bad:
            kw.setdefault("status", "error")
            kw.setdefault("message", message)
            a |= {} if self.old else {"error.type": code}
        return self.span(method, *children, kind=kind, attrs=a | (attrs or {}), scope=self.grpc if scope is None else scope, **kw)

    def answers(self, method, code, *children, **kw):
        """A gRPC SERVER span; 7 and 16 leave its status unset."""
        s = self.rpc("server", method, code, *children, **kw)
        s.request = method, code, self.host
        return s

    def asks(self, server, message="", **kw):
        """A gRPC CLIENT span around another service's SERVER span; its status message is the text the server sent."""
        method, code, host = server.request
        return self.rpc("client", method, code, server, message=message, host=host, **kw)

    # ---------------------------------------------------------------- hand-written checks
    def auth(self, name, ok, reason="", *children, status=None, **kw):
        attrs = {"auth.result": "success" if ok else "failure", **({"auth.failure_reason": reason} if reason else {}),
                 **kw.pop("attrs", {})}
        kw.setdefault("scope", self.name)
        return self.span(name, *children, attrs=attrs, status=status or ("unset" if ok else "error"), **kw)

    def login(self, ok, reason="", *children, **kw):
        return self.auth("auth.login", ok, reason, *children, **kw)

    def token(self, ok, reason="", *children, **kw):
        return self.auth("auth.token_validate", ok, reason, *children, **kw)

    def check(self, ok, reason="", *children, **kw):
        return self.auth("auth.permission_check", ok, reason, *children, **kw)

    # ---------------------------------------------------------------- SQL (PostgreSQL)
    def sql(self, text, *, db="shop", table="", user="", error=None, driver=None, **kw):
        """error: (SQLSTATE, message), spelled as the driver's instrumentation spells it."""
        driver, word, host = driver or self.driver, text.split()[0].upper(), f"{db}-db"
        if self.old or driver in ("psycopg2", "sqlalchemy", "otelsql"):
            a = {"db.system": "postgresql", "db.name": db, "db.statement": text, "net.peer.name": host, "net.peer.port": 5432}
        else:
            a = {"db.system.name": "postgresql", "db.namespace": db, "db.query.text": text, "server.address": host,
                 "server.port": 5432}
        a |= {"db.user": user} if user else {}
        code, message = error or ("", "")
        bad = {"status": "error"} if error else {}
        name, scope, events, klass = word, f"opentelemetry.instrumentation.{driver}", [], SQLSTATE.get(code, "OperationalError")
        if driver == "psycopg2":
            events, bad = [exc(f"psycopg2.errors.{klass}", message + "\n")], bad | {"message": f"{klass}: {message}\n"}
        elif driver == "asyncpg":
            events = [exc(f"asyncpg.exceptions.{klass}Error", message)]
        elif driver == "sqlalchemy":
            name, bad = f"{word} {db}", bad | {"message": message + "\n"}
        elif driver == "pg":
            name, scope = f"pg.query:{word} {db}", "@opentelemetry/instrumentation-pg"
            events = [(None, "exception", {"exception.message": f"PostgreSQL error of type 'error' occurred (code: {code})"})]
            bad |= {"message": message}
        elif driver == "pgx":
            name, scope, full = f"query {word}", "github.com/exaring/otelpgx", f"ERROR: {message} (SQLSTATE {code})"
            events, bad = [exc("*pgconn.PgError", full)], bad | {"message": full}
            a |= {"pgx.sql_state": code} if error else {}
        elif driver == "otelsql":
            name, scope, events = "sql.conn.query", "github.com/XSAM/otelsql", [exc("*pq.Error", f"pq: {message}")]
        elif driver == "jdbc":
            name, scope = f"{word} {db}" + (f".{table}" if table else ""), "io.opentelemetry.jdbc"
            events = [exc("org.postgresql.util.PSQLException", f"ERROR: {message}")]
        elif driver == "npgsql":
            name, scope = db, "Npgsql"
            a |= {"db.response.status_code": code, "error.type": code} if error else {}
            events, bad = [exc("Npgsql.PostgresException", f"{code}: {message}")], bad | {"message": f"{code}: {message}"}
        elif driver == "pdo":
            name, scope = "PDO::query", "io.opentelemetry.contrib.php.pdo"
            events = [exc("PDOException", f"SQLSTATE[{code}]: Insufficient privilege: 7 ERROR:  {message}")]
        if table and not driver == "otelsql":
            a |= ({"db.sql.table": table, "db.operation": word} if "db.system" in a else
                  {"db.collection.name": table, "db.operation.name": word})
        return self.span(name, kind="client", attrs=a, scope=scope, events=events if error else (), **(bad if error else {}), **kw)

    # ---------------------------------------------------------------- messages
    def message(self, kind, system, topic, *children, op=None, attrs=None, scope="", name=None, **kw):
        """A PRODUCER (send) or CONSUMER (process) span."""
        op = op or {"producer": "send", "consumer": "process"}.get(kind, "receive")
        a = ({"messaging.system": system, "messaging.destination": topic, "messaging.operation": op} if self.old else
             {"messaging.system": system, "messaging.destination.name": topic, "messaging.operation.name": op,
              "messaging.operation.type": op})
        return self.span(name or (f"{topic} {op}" if self.old else f"{op} {topic}"), *children, kind=kind,
                         attrs=a | (attrs or {}), scope=scope, **kw)


# ------------------------------------------------------------------------------------------- frameworks and proxies
def express(svc, *names, last=None):
    """Express middleware in order; `last` tags the last, which may be the one that answered."""
    return [svc.span(f"middleware - {n}", attrs={"http.route": "/", "express.name": n, "express.type": "middleware"},
                     scope="@opentelemetry/instrumentation-express", dur=0.1, tag=last if n == names[-1] else None)
            for n in names]


def spring(svc, route, code, *children, path=None, **kw):
    """Spring Boot's Micrometer spelling of a SERVER span: a good answer has status OK, not unset."""
    method, template = route.split(" ", 1)
    path = path or filled(template)
    outcome = {2: "SUCCESS", 3: "REDIRECTION", 4: "CLIENT_ERROR", 5: "SERVER_ERROR"}[code // 100]
    s = svc.span(f"http {method.lower()} {template}", *children, kind="server", scope="org.springframework.boot",
                 status="ok" if code < 400 else "error" if code >= 500 else "unset",
                 attrs={"method": method, "status": str(code), "outcome": outcome, "exception": "none",
                        "uri": template if code < 300 else "UNKNOWN", "http.url": path}, **kw)
    s.request = f"{method} http://{svc.host}:{svc.port}{path}", code
    return s


def spring_filters(svc, *children, reached="AuthorizationFilter", **kw):
    return svc.span("security filterchain before", *children, scope="org.springframework.boot", attrs={
        "spring.security.filterchain.position": "14", "spring.security.filterchain.size": "15",
        "spring.security.reached.filter.section": "before", "spring.security.reached.filter.name": reached}, **kw)


def authorize(svc, granted, details, authorities, kind="request", user="JwtAuthenticationToken", **kw):
    """Spring Security's observation of one authorization."""
    bad = {} if granted else {"status": "error", "message": "Access Denied", "events": [
        exc("org.springframework.security.access.AccessDeniedException", "Access Denied")]}
    return svc.span(f"authorize {kind}", scope="org.springframework.boot", attrs={
        "spring.security.authentication.type": user, "spring.security.object": kind,
        "spring.security.authorization.decision": str(granted).lower(),
        "spring.security.authentication.authorities": authorities,
        "spring.security.authorization.decision.details": details}, **bad, **kw)


def kong(svc, code, *plugins, upstream=None, route="/orders", ip="198.51.100.14"):
    """Kong with its access-phase plugins; the last one carries the tag `plugin`. Without `upstream` there is no balancer."""
    lua = lambda name, *c, **kw: svc.span(name, *c, scope="kong-internal", **kw)
    steps = [lua("kong.router", dur=0.2)] + [lua(f"kong.access.plugin.{p}", dur=0.5, tag="plugin" if p == plugins[-1] else None)
                                             for p in plugins]
    if upstream:
        steps.append(lua("kong.balancer", upstream, kind="client", attrs={
            "net.peer.ip": "10.2.0.31", "net.peer.port": 8080, "net.peer.name": upstream.service, "try_count": 1}))
    return lua("kong", *steps, kind="server", attrs={
        "http.method": "GET", "http.url": f"https://{svc.host}{route}", "http.host": svc.host, "http.scheme": "https",
        "http.flavor": "1.1", "net.peer.ip": ip, "http.status_code": code, "http.route": route,
        "kong.request.id": "6b1f0a6f8cb8d94a2f9e7d3c5a0b1e4f"})


def envoy(svc, kind, code, *children, to="", flags="-", istio=True, method="GET", url="", more=None, name=None, **kw):
    """A proxy's span; `to` is the cluster it would send to."""
    mesh = {"istio.mesh_id": "cluster.local", "istio.namespace": "shop", "istio.cluster_id": "Kubernetes",
            "istio.canonical_service": svc.name.split(".")[0], "istio.canonical_revision": "v1"} if istio else {}
    return svc.span(name or f"{to.split('|')[-1] or svc.name}/*", *children, kind=kind, scope="envoy", attrs={
        "node_id": f"sidecar~10.2.0.44~{svc.name}-7d~cluster.local", "component": "proxy", "zone": "", "http.method": method,
        "guid:x-request-id": "0d1c2a7e-8d39-9c4b-a2a5-2f1f0c7d7a11", "http.url": url or f"http://{svc.host}/",
        "http.protocol": "HTTP/1.1", "http.status_code": str(code), "response_flags": flags, "user_agent": "-",
        "request_size": "0", "response_size": "19", "downstream_cluster": "-", "peer.address": "10.2.0.40",
        "upstream_cluster": to, "upstream_cluster.name": to, **mesh, **(more or {})}, **kw)


def graphql(svc, name, *children, attrs=None, **kw):
    """Node's GraphQL instrumentation: the resolver is in error, graphql.execute stays unset."""
    return svc.span(name, *children, attrs=attrs, scope="@opentelemetry/instrumentation-graphql", **kw)


def openfga(svc, name, *children, tag=None, **attrs):
    return svc.span(name, *children, attrs=attrs, scope="openfga/pkg/server", tag=tag)


def resolve(svc, allowed):
    """OpenFGA's walk through the relation graph: branches are false by default and decide nothing."""
    return svc.span("ResolveCheck", svc.span("ResolveUnion", scope="internal/graph/check", attrs={"allowed": False}),
                    scope="internal/graph/check", attrs={"allowed": allowed, "resolver_type": "LocalChecker"})


def aws(svc, service, verb, code, error="", text="", **kw):
    """botocore: the operation's error stands in the status message and the exception event."""
    full = f"An error occurred ({error}) when calling the {verb} operation: {text}"
    bad = {"status": "error", "message": f"ClientError: {full}", "events": [exc("botocore.exceptions.ClientError", full)]}
    return svc.span(f"{service}.{verb}", kind="client", scope="opentelemetry.instrumentation.botocore", attrs={
        "rpc.system": "aws-api", "rpc.service": service, "rpc.method": verb, "aws.region": "eu-central-1",
        "aws.request_id": "Q3RW0YJ9T1N0M8ZK", "http.status_code": code, "retry_attempts": 0}, **(bad if error else {}), **kw)


def keycloak_event(name, error="", realm="shop", **details):
    return None, name, {"kc.eventId": "8f4c1a5e-2f0d-4a86-8a57-3d0d8bd3b0c1", "kc.realmId": "5b8c", "kc.realmName": realm,
                        "kc.clientId": "web", "ipAddress": "203.0.113.99", **({"kc.eventError": error} if error else {}),
                        **{f"kc.details.{k}": v for k, v in details.items()}}
