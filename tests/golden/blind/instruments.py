"""What the instrumentations of common stacks put on a span: names, scopes, attributes old and new, and their noise.

    lab = Service("lab-results", "fastapi")
    lab.serve("GET /results/{id}", 403, lab.check(False, "not the treating physician"))

`old=True` spells attributes as before the stable semantic conventions for HTTP, RPC, databases and messages.
Every further keyword of a method goes to the drawn span: mark, lasts, at, beside, lost, ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from drawing import Event, Host, Span, exception

GO = "go.opentelemetry.io/contrib/instrumentation"
JS = "@opentelemetry/instrumentation"
PY = "opentelemetry.instrumentation"
JVM = "io.opentelemetry"
OTELGRPC = f"{GO}/google.golang.org/grpc/otelgrpc#0.64.0"


@dataclass(frozen=True)
class Stack:
    language: str
    server: str
    client: str
    rpc: str = ""
    version: str = "1.39.0"


JAVA_AGENT = "#2.22.0-alpha"
STACKS = {
    "go": Stack("go", f"{GO}/net/http/otelhttp#0.64.0", f"{GO}/net/http/otelhttp#0.64.0", OTELGRPC),
    "gin": Stack("go", f"{GO}/github.com/gin-gonic/gin/otelgin#0.64.0", f"{GO}/net/http/otelhttp#0.64.0", OTELGRPC),
    "node": Stack("nodejs", f"{JS}-http#0.208.0", f"{JS}-http#0.208.0", f"{JS}-grpc#0.208.0", "2.2.0"),
    "undici": Stack("nodejs", f"{JS}-http#0.208.0", f"{JS}-undici#0.19.0", f"{JS}-grpc#0.208.0", "2.2.0"),
    "fastapi": Stack("python", f"{PY}.fastapi#0.60b1", f"{PY}.httpx#0.60b1", f"{PY}.grpc#0.60b1"),
    "flask": Stack("python", f"{PY}.flask#0.60b1", f"{PY}.requests#0.60b1", f"{PY}.grpc#0.60b1"),
    "django": Stack("python", f"{PY}.django#0.60b1", f"{PY}.requests#0.60b1", f"{PY}.grpc#0.60b1"),
    "java": Stack(
        "java",
        f"{JVM}.tomcat-10.0{JAVA_AGENT}",
        f"{JVM}.apache-httpclient-5.2{JAVA_AGENT}",
        f"{JVM}.grpc-1.6{JAVA_AGENT}",
        "1.56.0",
    ),
    "quarkus": Stack("java", "io.quarkus.opentelemetry", "io.quarkus.opentelemetry", "io.quarkus.opentelemetry", "1.56.0"),
    "spring": Stack("java", "org.springframework.boot", "org.springframework.boot", "org.springframework.boot", "1.56.0"),
    "aspnet": Stack(
        "dotnet", "Microsoft.AspNetCore", "System.Net.Http", "OpenTelemetry.Instrumentation.GrpcNetClient", "1.14.0"
    ),
    "laravel": Stack(
        "php", "io.opentelemetry.contrib.php.laravel#1.2.1", "io.opentelemetry.contrib.php.guzzle#1.1.0", "", "1.7.1"
    ),
    "rails": Stack("ruby", "OpenTelemetry::Instrumentation::Rack", "OpenTelemetry::Instrumentation::Net::HTTP", "", "1.10.0"),
    "browser": Stack("webjs", "", f"{JS}-fetch#0.208.0", "", "2.2.0"),
}

RPC_CODES = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip
SERVER_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


def filled(route: str) -> str:
    """A path for a route; Django's and .NET's begin without a slash."""
    return "/" + re.sub(r"\{[^}]*\}|:\w+|<[^>]*>", "4711", route).lstrip("/") if route else ""


def given(attrs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attrs.items() if v is not None and v != ""}


class Service(Host):
    def __init__(
        self,
        name: str,
        stack: str = "go",
        *,
        old: bool = False,
        port: int = 8080,
        dns: str = "",
        clock: float = 0.0,
        **resource: Any,
    ) -> None:
        self.stack, self.kind, self.old, self.port, self.dns = STACKS[stack], stack, old, port, dns or name
        own = {
            "service.version": "2.14.3",
            "telemetry.sdk.language": self.stack.language,
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": self.stack.version,
            "k8s.pod.name": f"{name}-6c9d7f-x2x8p",
        }
        super().__init__(name, own | {k.replace("__", "."): v for k, v in resource.items()}, clock)

    def span(self, name: str, *under: Span, **kw: Any) -> Span:
        return Span(self, name, under=under, **kw)

    # ------------------------------------------------------------------------------------------------ HTTP
    def serve(
        self,
        request: str,
        code: int,
        *under: Span,
        path: str = "",
        ip: str = "",
        agent: str = "",
        attrs: dict[str, Any] | None = None,
        **kw: Any,
    ) -> Span:
        """A SERVER span for "GET /claims/{id}". A request of a method only never reached a route."""
        method, _, route = request.partition(" ")
        path = path or filled(route)
        bare, _, query = path.partition("?")
        if self.old:
            spelt = {
                "http.method": method,
                "http.scheme": "http",
                "http.target": path,
                "http.route": route,
                "http.host": f"{self.dns}:{self.port}",
                "http.flavor": "1.1",
                "http.user_agent": agent,
                "http.client_ip": ip,
                "net.host.name": self.dns,
                "net.sock.peer.addr": "10.42.3.7",
                "http.status_code": code,
            }
        else:
            spelt = {
                "http.request.method": method,
                "url.scheme": "http",
                "url.path": bare,
                "url.query": query,
                "http.route": route,
                "server.address": self.dns,
                "server.port": self.port,
                "client.address": ip,
                "network.peer.address": "10.42.3.7",
                "network.protocol.version": "1.1",
                "user_agent.original": agent,
                "http.response.status_code": code,
            }
        if code >= 500:
            kw.setdefault("status", "error")
            spelt |= {} if self.old else {"error.type": str(code)}
        if self.kind == "fastapi":
            under = (*under, *self._asgi_sends(method, route, code))
        kw.setdefault("scope", self.stack.server)
        span = self.span(
            kw.pop("name", f"{method} {route}".strip()), *under, kind="server", attrs=given(spelt) | (attrs or {}), **kw
        )
        span.request, span.code = f"{method} http://{self.dns}:{self.port}{path}", code  # type: ignore[attr-defined]
        return span

    def _asgi_sends(self, method: str, route: str, code: int) -> list[Span]:
        """The spans that ASGI adds for each message: they repeat the status and decide nothing."""
        start = {
            "asgi.event.type": "http.response.start",
            ("http.status_code" if self.old else "http.response.status_code"): code,
        }
        fault = {"status": "error"} if code >= 500 else {}
        name = f"{method} {route} http send".replace("  ", " ")
        return [
            self.span(name, attrs=start, scope=self.stack.server, lasts=0.08, **fault),
            self.span(name, attrs={"asgi.event.type": "http.response.body"}, scope=self.stack.server, lasts=0.03),
        ]

    def fetch(
        self,
        request: str,
        code: int | None,
        *under: Span,
        error: str = "",
        peer: str = "",
        attrs: dict[str, Any] | None = None,
        **kw: Any,
    ) -> Span:
        """A CLIENT span to a URL. Without a code no answer came, and `error` names why."""
        method, _, url = request.partition(" ")
        parts = urlsplit(url)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        failed = bool(error) or (code or 0) >= 400
        if self.old:
            spelt = {
                "http.method": method,
                "http.url": url,
                "net.peer.name": parts.hostname,
                "net.peer.port": port,
                "http.status_code": code,
            }
        else:
            spelt = {
                "http.request.method": method,
                "url.full": url,
                "server.address": parts.hostname,
                "server.port": port,
                "http.response.status_code": code,
                "error.type": error or (str(code) if failed else None),
            }
        if failed:
            kw.setdefault("status", "error")
        kw.setdefault("scope", self.stack.client)
        name = kw.pop("name", f"HTTP {method}" if self.old and self.kind == "go" else method)
        return self.span(name, *under, kind="client", attrs=given(spelt) | given({"peer.service": peer}) | (attrs or {}), **kw)

    def call(self, server: Span, *, fresh: bool = False, **kw: Any) -> Span:
        """A CLIENT span around another service's SERVER span. `fresh`: on a new connection, which Node also traces."""
        request, code = server.request, server.code  # type: ignore[attr-defined]
        return self.fetch(
            request, code, *(self.connects(urlsplit(request.split(" ")[1]).hostname or "") if fresh else ()), server, **kw
        )

    def connects(self, host: str) -> list[Span]:
        return [
            self.span("dns.lookup", scope=f"{JS}-dns#0.53.0", kind="client", attrs={"peer.ipv4": "10.42.7.19"}, lasts=0.6),
            self.span(
                "tcp.connect",
                scope=f"{JS}-net#0.53.0",
                attrs={"net.transport": "ip_tcp", "net.peer.name": host, "net.peer.port": 8080},
                lasts=0.4,
            ),
        ]

    # ------------------------------------------------------------------------------------------------ RPC
    def _rpc(self, kind: str, method: str, code: str, under: tuple[Span, ...], host: str, kw: dict[str, Any]) -> Span:
        service, _, verb = method.rpartition("/")
        number = RPC_CODES.index(code)
        if self.old:
            spelt = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": verb, "rpc.grpc.status_code": number}
            spelt |= given({"net.peer.name": host})
        else:
            spelt = {"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": code}
            spelt |= given({"server.address": host})
        if (kind == "client" and number) or code in SERVER_FAULTS:
            kw.setdefault("status", "error")
            spelt |= {} if self.old else {"error.type": code}
        kw.setdefault("scope", self.stack.rpc)
        return self.span(kw.pop("name", method), *under, kind=kind, attrs=spelt | kw.pop("attrs", {}), **kw)

    def answer(self, method: str, code: str, *under: Span, **kw: Any) -> Span:
        """A gRPC SERVER span. PERMISSION_DENIED and UNAUTHENTICATED leave it unset, but in Node."""
        text = kw.pop("text", "")
        if self.stack.language == "nodejs" and code != "OK":
            kw = {
                "status": "error",
                **kw,
                "attrs": given({"grpc.error_name": "Error", "grpc.error_message": text}) | kw.get("attrs", {}),
            }
        span = self._rpc("server", method, code, under, "", kw)
        span.request, span.code, span.text = (method, self.dns), code, text  # type: ignore[attr-defined]
        return span

    def ask(self, server: Span, **kw: Any) -> Span:
        """A gRPC CLIENT span around another service's SERVER span, with the server's text where the language puts it."""
        method, host = server.request  # type: ignore[attr-defined]
        return self.ask_alone(method, server.code, server, host=host, text=server.text, **kw)  # type: ignore[attr-defined]

    def ask_alone(self, method: str, code: str, *under: Span, host: str = "", text: str = "", **kw: Any) -> Span:
        if code != "OK" and text:
            if self.stack.language == "nodejs":
                kw["attrs"] = {"grpc.error_message": f"{RPC_CODES.index(code)} {code}: {text}"} | kw.get("attrs", {})
            elif self.stack.language == "python":
                repr_ = (
                    f'<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.{code}\n\tdetails = "{text}"\n>'
                )
                kw = {
                    "message": f"_InactiveRpcError: {repr_}",
                    "events": [exception("grpc._channel._InactiveRpcError", repr_)],
                    **kw,
                }
                host = ""
            else:
                kw.setdefault("message", text)
        return self._rpc("client", method, code, under, host, kw)

    # ------------------------------------------------------------------------------------------------ hand-written checks
    def _auth(self, name: str, ok: bool, reason: str, under: tuple[Span, ...], kw: dict[str, Any]) -> Span:
        attrs = given({"auth.result": "success" if ok else "failure", "auth.failure_reason": reason}) | kw.pop("attrs", {})
        kw.setdefault("scope", f"{self.name}.auth")
        kw.setdefault("status", "unset" if ok else "error")
        return self.span(name, *under, attrs=attrs, **kw)

    def login(self, ok: bool, reason: str = "", *under: Span, **kw: Any) -> Span:
        return self._auth("auth.login", ok, reason, under, kw)

    def token(self, ok: bool, reason: str = "", *under: Span, **kw: Any) -> Span:
        return self._auth("auth.token_validate", ok, reason, under, kw)

    def check(self, ok: bool, reason: str = "", *under: Span, **kw: Any) -> Span:
        return self._auth("auth.permission_check", ok, reason, under, kw)

    # ------------------------------------------------------------------------------------------------ stores and messages
    def query(
        self,
        text: str,
        *under: Span,
        system: str = "postgresql",
        db: str = "",
        table: str = "",
        host: str = "",
        name: str = "",
        scope: str = "",
        attrs: dict[str, Any] | None = None,
        **kw: Any,
    ) -> Span:
        """A CLIENT span to a database; how its driver spells an error is the caller's to say."""
        word = text.split()[0].upper()
        db = db or self.name.replace("-", "_")
        host = host or f"{db.replace('_', '-')}-db"
        if self.old:
            spelt = {
                "db.system": system,
                "db.name": db,
                "db.statement": text,
                "db.operation": word,
                "db.sql.table": table,
                "net.peer.name": host,
            }
        else:
            spelt = {
                "db.system.name": system,
                "db.namespace": db,
                "db.query.text": text,
                "db.operation.name": word,
                "db.collection.name": table,
                "server.address": host,
            }
        return self.span(
            name or f"{word} {table or db}",
            *under,
            kind="client",
            attrs=given(spelt) | (attrs or {}),
            scope=scope or DRIVERS[self.kind],
            **kw,
        )

    def publish(self, system: str, topic: str, *under: Span, attrs: dict[str, Any] | None = None, **kw: Any) -> Span:
        return self._message("producer", "send", system, topic, under, attrs, kw)

    def consume(self, system: str, topic: str, *under: Span, attrs: dict[str, Any] | None = None, **kw: Any) -> Span:
        return self._message("consumer", "process", system, topic, under, attrs, kw)

    def _message(
        self,
        kind: str,
        op: str,
        system: str,
        topic: str,
        under: tuple[Span, ...],
        attrs: dict[str, Any] | None,
        kw: dict[str, Any],
    ) -> Span:
        if self.old:
            spelt = {
                "messaging.system": system,
                "messaging.destination": topic,
                "messaging.operation": "publish" if op == "send" else op,
            }
        else:
            spelt = {"messaging.system": system, "messaging.destination.name": topic, "messaging.operation.type": op}
        name = kw.pop("name", f"{topic} {op}" if self.old else f"{op} {topic}")
        return self.span(name, *under, kind=kind, attrs=spelt | (attrs or {}), **kw)


DRIVERS = {
    "go": "github.com/exaring/otelpgx",
    "gin": "github.com/XSAM/otelsql#0.40.0",
    "node": f"{JS}-pg#0.61.0",
    "undici": f"{JS}-pg#0.61.0",
    "fastapi": f"{PY}.asyncpg#0.60b1",
    "flask": f"{PY}.psycopg2#0.60b1",
    "django": f"{PY}.psycopg#0.60b1",
    "java": f"{JVM}.jdbc#2.22.0-alpha",
    "quarkus": f"{JVM}.jdbc",
    "spring": f"{JVM}.jdbc",
    "aspnet": "Npgsql",
    "laravel": "io.opentelemetry.contrib.php.pdo#0.2.1",
    "rails": "OpenTelemetry::Instrumentation::PG#0.32.0",
    "browser": "",
}


# ---------------------------------------------------------------------------------------------------- proxies
def envoy(
    host: Host, code: int, *under: Span, kind: str = "server", name: str = "ingress", to: str = "", flags: str = "-",
    method: str = "GET", url: str = "", role: str = "", **more: Any,
) -> Span:  # fmt: skip
    """A span of an Envoy. `role` is the first part of an Istio node id: sidecar, router or waypoint; none is a bare Envoy."""
    pod = host.name.split(".")[0]
    spelt = {
        "node_id": f"{role}~10.42.9.2~{pod}-7f~prod.svc.cluster.local" if role else f"{pod}-1",
        "zone": "",
        "guid:x-request-id": "3b0c5f6e-1d52-9a1a-b0a5-1c63ae1dd0b1",
        "http.url": url or f"http://{pod}/",
        "http.method": method,
        "downstream_cluster": "-",
        "user_agent": "curl/8.11.1",
        "http.protocol": "HTTP/1.1",
        "peer.address": "10.42.3.7",
        "request_size": "0",
        "response_size": "19",
        "component": "proxy",
        "upstream_cluster": to,
        "upstream_cluster.name": to,
        "http.status_code": str(code),
        "response_flags": flags,
    }
    if role:
        spelt |= {"istio.mesh_id": "cluster.local", "istio.canonical_service": pod, "istio.namespace": "prod"}
        spelt |= {"istio.canonical_revision": "v2", "istio.cluster_id": "Kubernetes"}
    attrs = spelt | more.pop("attrs", {})
    if code >= 500:
        more.setdefault("status", "error")
        attrs["error"] = "true"
    return Span(host, name, kind, under, attrs, "envoy", **more)


def envoy_asks(host: Host, name: str, to: str, *under: Span, attrs: dict[str, Any], **kw: Any) -> Span:
    """The CLIENT span of a question that an Envoy filter asks: ext_authz, rate limit, key fetch."""
    spelt = {"component": "proxy", "upstream_cluster": to, "upstream_cluster.name": to, "upstream_address": "10.42.8.8:9191"}
    return Span(host, name, "client", under, spelt | {"http.protocol": "HTTP/2", "response_flags": "-"} | attrs, "envoy", **kw)


def kong(
    host: Host,
    code: int,
    *plugins: str,
    upstream: Span | None = None,
    request: str = "GET /",
    ip: str = "",
    inside: Span | None = None,
) -> Span:
    """Kong's request span with its access plugins, the last of which is marked `plugin` and may hold `inside`."""
    method, _, path = request.partition(" ")
    last = len(plugins) - 1
    steps = [Span(host, "kong.router", scope="kong-internal", lasts=0.1)]
    for i, plugin in enumerate(plugins):
        under = [inside] if inside is not None and i == last else []
        steps.append(
            Span(
                host,
                f"kong.access.plugin.{plugin}",
                under=under,
                scope="kong-internal",
                mark="plugin" if i == last else "",
                lasts=None if under else 0.4,
            )
        )
    if upstream is not None:
        peer = {"net.peer.ip": "10.42.6.3", "net.peer.port": 8080, "net.peer.name": upstream.host.name, "try_count": 1}
        steps.append(Span(host, "kong.balancer", "client", [upstream], peer, "kong-internal"))
        steps.append(Span(host, "kong.header_filter.plugin.opentelemetry", scope="kong-internal", lasts=0.1))
    spelt = {
        "http.method": method,
        "http.url": f"https://api.example.org{path}",
        "http.host": "api.example.org",
        "http.scheme": "https",
        "http.flavor": "2",
        "http.route": path,
        "http.client_ip": ip,
        "net.peer.ip": ip,
        "http.status_code": code,
        "kong.request.id": "c4d9a15be04b1c5a9bf5f03f1f3ad911",
    }
    return Span(host, "kong", "server", steps, given(spelt), "kong-internal", status="error" if code >= 500 else "unset")


TRAEFIK = "github.com/traefik/traefik#3.6.1"


def traefik(host: Host, name: str, *under: Span, **kw: Any) -> Span:
    return Span(host, name, kw.pop("kind", "internal"), under, kw.pop("attrs", {}), TRAEFIK, **kw)


# ---------------------------------------------------------------------------------------------------- frameworks
def middlewares(svc: Service, *names: str, last: str = "", fault: Event | None = None) -> list[Span]:
    """Express before 5: one span per app.use() function; `last` marks the last, and `fault` is what it passed to next()."""
    found = []
    for name in names:
        end = name == names[-1]
        found.append(
            svc.span(
                f"middleware - {name}",
                attrs={"http.route": "/", "express.name": name, "express.type": "middleware"},
                scope=f"{JS}-express#0.57.0",
                lasts=1.2 if end and last else 0.1,
                mark=last if end else "",
                events=[fault] if fault and end else (),
                status="error" if fault and end else "unset",
                message=fault.attrs["exception.message"] if fault and end else "",
            )
        )
    return found


def handler(svc: Service, route: str, *under: Span, **kw: Any) -> Span:
    kw.setdefault("scope", f"{JS}-express#0.57.0")
    return svc.span(
        f"request handler - {route}",
        *under,
        attrs={"http.route": route, "express.name": route, "express.type": "request_handler"},
        **kw,
    )


def nest(svc: Service, controller: str, method: str, *under: Span, fault: Event | None = None, **kw: Any) -> Span:
    """NestJS's span around guards and handler; a guard has no span of its own."""
    bad = {"status": "error", "message": fault.attrs["exception.message"], "events": [fault]} if fault else {}
    return svc.span(
        f"{controller}.{method}",
        *under,
        attrs={
            "component": "@nestjs/core",
            "nestjs.version": "10.4.20",
            "nestjs.type": "request_context",
            "nestjs.controller": controller,
            "nestjs.callback": method,
        },
        scope=f"{JS}-nestjs-core#0.55.0",
        **bad,
        **kw,
    )


def nest_handler(svc: Service, method: str, *under: Span, fault: Event | None = None, **kw: Any) -> Span:
    bad = {"status": "error", "message": fault.attrs["exception.message"], "events": [fault]} if fault else {}
    attrs = {"component": "@nestjs/core", "nestjs.type": "handler", "nestjs.callback": method}
    return svc.span(method, *under, attrs=attrs, scope=f"{JS}-nestjs-core#0.55.0", **bad, **kw)


def spring(svc: Service, request: str, code: int, *under: Span, path: str = "", exc: str = "none", **kw: Any) -> Span:
    """A SERVER span as Spring Boot's observations spell it: status is a text, and a good answer has status OK."""
    method, _, route = request.partition(" ")
    path = path or filled(route)
    outcome = ["INFORMATIONAL", "SUCCESS", "REDIRECTION", "CLIENT_ERROR", "SERVER_ERROR"][code // 100 - 1]
    attrs = {"method": method, "status": str(code), "outcome": outcome, "exception": exc, "http.url": path}
    attrs["uri"] = route if code < 300 else "UNKNOWN"
    kw.setdefault("status", "ok" if code < 400 else "error" if code >= 500 else "unset")
    span = svc.span(
        f"http {method.lower()} {route}",
        *under,
        kind="server",
        attrs=attrs | kw.pop("attrs", {}),
        scope="org.springframework.boot",
        **kw,
    )
    span.request, span.code = f"{method} http://{svc.dns}:{svc.port}{path}", code  # type: ignore[attr-defined]
    return span


def filters(svc: Service, *under: Span, reached: str = "AuthorizationFilter", size: int = 16, **kw: Any) -> Span:
    attrs = {
        "spring.security.filterchain.position": str(size),
        "spring.security.filterchain.size": str(size),
        "spring.security.reached.filter.section": "before",
        "spring.security.reached.filter.name": reached,
    }
    return svc.span("security filterchain before", *under, attrs=attrs, scope="org.springframework.boot", **kw)


def authorize(
    svc: Service,
    granted: bool,
    details: str,
    *,
    on: str = "request",
    who: str = "JwtAuthenticationToken",
    roles: str = "[SCOPE_openid]",
    **kw: Any,
) -> Span:
    bad = {} if granted else {"status": "error", "message": "Access Denied", "events": [
        exception("org.springframework.security.authorization.AuthorizationDeniedException", "Access Denied")]}  # fmt: skip
    attrs = {
        "spring.security.object": on,
        "spring.security.authentication.type": who,
        "spring.security.authentication.authorities": roles,
        "spring.security.authorization.decision": "true" if granted else "false",
        "spring.security.authorization.decision.details": details,
    }
    return svc.span(f"authorize {on}", attrs=attrs, scope="org.springframework.boot", **bad, **kw)


def authenticate(svc: Service, what: str, failure: str, *under: Span, text: str = "", **kw: Any) -> Span:
    """Spring Security's observation of one authentication; failure "" is a success."""
    bad = (
        {"status": "error", "message": text, "events": [exception(f"org.springframework.security.core.{failure}", text)]}
        if failure
        else {}
    )
    attrs = {
        "authentication.request.type": "BearerTokenAuthenticationToken"
        if what == "bearer"
        else "UsernamePasswordAuthenticationToken",
        "authentication.method": "ProviderManager",
        "authentication.failure.type": failure or "n/a",
        "authentication.result.type": "JwtAuthenticationToken" if not failure else "n/a",
    }
    return svc.span(f"authenticate {what}", *under, attrs=attrs, scope="org.springframework.boot", **bad, **kw)


def fastify(svc: Service, hook: str, **kw: Any) -> Span:
    """A Fastify hook such as "preHandler - verifyScope"."""
    name, _, function = hook.partition(" - ")
    attrs = {
        "hook.name": f"{name} - {function}",
        "fastify.type": "hook",
        "hook.callback.name": function,
        "service.name": svc.name,
    }
    return svc.span(hook, attrs=attrs, scope="@fastify/otel#0.11.0", **kw)


def koa(svc: Service, name: str, *under: Span, **kw: Any) -> Span:
    return svc.span(
        f"middleware - {name}", *under, attrs={"koa.name": name, "koa.type": "middleware"}, scope=f"{JS}-koa#0.57.0", **kw
    )


def resolver(svc: Service, path: str, *under: Span, fault: str = "", type_: str = "GraphQLError", **kw: Any) -> Span:
    bad = {"status": "error", "message": fault, "events": [exception(type_, fault)]} if fault else {}
    attrs = {"graphql.field.name": path.split(".")[-1], "graphql.field.path": path, "graphql.field.type": "String"}
    return svc.span(f"graphql.resolve {path}", *under, attrs=attrs, scope=f"{JS}-graphql#0.56.0", **bad, **kw)


# ---------------------------------------------------------------------------------------------------- deciders and clouds
def keycloak_event(name: str, error: str = "", ip: str = "", **details: str) -> Event:
    attrs = {
        "kc.eventId": "4d0b7f58-9c1f-4a40-a1de-3d5f2fd7c2aa",
        "kc.realmId": "a7d2",
        "kc.realmName": "clinic",
        "kc.clientId": "portal",
    }
    extra = {f"kc.details.{k}": v for k, v in details.items()}
    return Event(name, attrs | given({"kc.eventError": error, "ipAddress": ip}) | extra)


FGA_STORE = "01JB7MV0N4Z6S0P4X3W9R8Q2AA"


def fga(svc: Service, name: str, *under: Span, mark: str = "", **attrs: Any) -> Span:
    return svc.span(name, *under, attrs={"store_id": FGA_STORE} | attrs, scope="openfga/pkg/server#1.11.0", mark=mark)


def fga_walk(svc: Service, allowed: bool) -> Span:
    """OpenFGA's own search through the relations: branches are false until shown otherwise and decide nothing."""
    branch = svc.span("ResolveEdge", attrs={"allowed": False}, scope="internal/check", lasts=0.3)
    return svc.span(
        "ResolveCheck", branch, attrs={"allowed": allowed, "resolver_type": "CachedCheckResolver"}, scope="internal/graph/check"
    )


def boto(svc: Service, service: str, verb: str, code: int, error: str = "", text: str = "", **kw: Any) -> Span:
    whole = f"An error occurred ({error}) when calling the {verb} operation: {text}"
    class_ = f"botocore.errorfactory.{error}" if error.endswith("Exception") else "botocore.exceptions.ClientError"
    bad = (
        {"status": "error", "message": f"{class_.rsplit('.', 1)[1]}: {whole}", "events": [exception(class_, whole)]}
        if error
        else {}
    )
    attrs = {
        "rpc.system": "aws-api",
        "rpc.service": service,
        "rpc.method": verb,
        "aws.region": "eu-west-1",
        "aws.request_id": "7M2E1ZK8RH0Q3C5V",
        "http.status_code": code,
        "retry_attempts": 0,
    }
    return svc.span(
        f"{service}.{verb}", kind="client", attrs=attrs | kw.pop("attrs", {}), scope=f"{PY}.botocore#0.60b1", **bad, **kw
    )


def aws_js(svc: Service, service: str, verb: str, code: int, error: str = "", text: str = "", **kw: Any) -> Span:
    bad = {"status": "error", "message": text, "events": [exception(error, text)]} if error else {}
    attrs = {
        "rpc.system": "aws-api",
        "rpc.service": service,
        "rpc.method": verb,
        "cloud.region": "eu-west-1",
        "http.status_code": code,
    }
    return svc.span(
        f"{service}.{verb}",
        kind=kw.pop("kind", "client"),
        attrs=attrs | {"aws.request.id": "Z0T3P1"} | kw.pop("attrs", {}),
        scope=f"{JS}-aws-sdk#0.64.0",
        **bad,
        **kw,
    )
