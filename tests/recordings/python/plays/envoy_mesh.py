"""Envoy beside the services behind a FastAPI gateway: RBAC and JWT filters before HTTP and gRPC, attempts again, timeouts."""

from __future__ import annotations

import signal
from typing import Any

from family import CLIENT, SHOP, STABLE, Caller
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from proxies import DETAILS, ask_grpc, ask_http, configuration, jwt, listener, rbac

MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
MESH = {"outcome": "denied", "layer": "service_mesh"}
LEDGER = {"db.query.text": "SELECT sum(total) FROM ledger"}
FROZEN = {"outcome": "error", "layer": "policy_engine", "findings": ["fail_closed"], "no_findings": ["fail_open"]}


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        given = {"SECRET": SECRET, "DATABASE": f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop", **STABLE}
        orders = stage.tools.asgi(stage, "orders", "orders:app", uses=("fastapi", "asyncpg"), **given)
        ledger = stage.tools.script(stage, "ledger", "python", "ledger_sync.py", uses=("grpcio", "psycopg"), **given)
        asked = stage.tools.asgi(stage, "authorizer", "authorizer:app", **given)
        asked_grpc = stage.tools.script(stage, "authorizer-grpc", "python", "authorizer_grpc.py", **given)
        beside_orders: dict[str, Any] = {"service": "orders-sidecar"}
        beside_ledger: dict[str, Any] = {"service": "ledger-sidecar", "to": "ledger_grpc"}
        ways = {
            "plain": ([jwt(), rbac()], beside_orders),
            "details": ([jwt(), rbac()], beside_orders | {"tags": DETAILS}),
            "gone": ([], beside_orders | {"to": "dead"}),
            "again": ([], {"attempts": 3}),
            "tokens": ([jwt()], beside_ledger),
            "roles": ([rbac()], beside_ledger),
            "http": ([ask_http("authorizer")], {}),
            "grpc": ([ask_grpc("authorizer_grpc")], {}),
        }
        ports = {name: closed_port() for name in ways}
        clusters = {
            "orders": orders.port, "ledger_grpc": ledger.port, "authorizer": asked.port, "authorizer_grpc": asked_grpc.port,
            "dead": closed_port(),
        }  # fmt: skip
        listeners = [listener(ports[name], filters, **settings) for name, (filters, settings) in ways.items()]
        envoy = stage.tools.envoy(stage, configuration(listeners, clusters, stage.otlp), ports["plain"])
        way = {name: Service("envoy", envoy.process, port, envoy.versions) for name, port in ports.items()}
        http(stage, way, given)
        grpc(stage, way, given)
        alone(stage, way, asked, asked_grpc)


def http(stage: Stage, way: dict[str, Any], given: dict[str, Any]) -> None:
    for name in ("plain", "details", "gone"):
        gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=("httpx",), **given, ORDERS=way[name].url)
        if name == "gone":
            record(
                stage, "sidecar-upstream-down", MARY.get(gateway, "/api/orders"), 503, outcome="error", layer="service_mesh",
                confidence=["low"], why="Behind the sidecar nobody listens: 503 with UF, which the gateway hands on.",
            )  # fmt: skip
        else:
            explained = {"reason": "rbac_access_denied_matched_policy[none]"} if name == "details" else {}
            record(
                stage, f"sidecar-allowed-{name}", MARY.get(gateway, "/api/orders"), 200, outcome="no_auth_evidence", layer=None,
                no_findings=["missing_hop", "uninstrumented_peer", "broken_propagation", "multiple_roots"],
                why="The gateway, the sidecar's filters and orders let the request pass, and none of them says so in a span.",
            )  # fmt: skip
            record(
                stage, f"sidecar-rbac-{name}", MARY.request(gateway, "DELETE", "/api/orders/1"), 403, **MESH, phase="authz",
                span=At("orders-sidecar", "ingress"), findings=["relayed_by"], **explained,
                confidence=["high" if explained else "medium"],
                why="The sidecar's RBAC filter lets only staff do more than read; the gateway hands its 403 on.",
            )  # fmt: skip
        stage.stop(gateway)


def grpc(stage: Stage, way: dict[str, Any], given: dict[str, Any]) -> None:
    teller = stage.tools.asgi(
        stage, "teller", "teller:app", uses=("grpcio",), **given, LEDGER=f"127.0.0.1:{way['tokens'].port}"
    )
    record(
        stage, "sidecar-grpc-allowed", MARY.get(teller, "/accounts/north/Read"), 200, outcome="no_auth_evidence", layer=None,
        no_findings=["missing_hop", "uninstrumented_peer"],
        why="The sidecar and the ledger find the token good, and no span says so.",
    )  # fmt: skip
    record(
        stage, "sidecar-grpc-no-token", Caller().get(teller, "/accounts/north/Read"), 401, outcome="denied",
        layer=["service_mesh", "api_gateway"], phase="authn", span=At("ledger-sidecar", "ingress"), reason="Jwt is missing",
        why="The sidecar's JWT filter wants a token: HTTP 200 with grpc-status 16, in Envoy's own words.",
    )  # fmt: skip
    record(
        stage, "sidecar-grpc-relays", MARY.get(teller, "/accounts/north/Close"), 403, outcome="denied", layer="application",
        phase="authz", span=At("ledger", "/shop.ledger.v1.Ledger/Close"), reason="needs the role manager",
        findings=["relayed_by"],
        why="The sidecar lets the call pass; the ledger's interceptor wants the role manager.",
    )  # fmt: skip
    stage.stop(teller)
    teller = stage.tools.asgi(stage, "teller", "teller:app", uses=("grpcio",), **given, LEDGER=f"127.0.0.1:{way['roles'].port}")
    record(
        stage, "sidecar-grpc-rbac", MARY.get(teller, "/accounts/north/Read"), 403, **MESH, phase="authz",
        span=At("ledger-sidecar", "ingress"), reason="RBAC: access denied",
        why="The sidecar's RBAC filter lets only staff do more than GET, and gRPC is POST: grpc-status 7 in Envoy's own words.",
    )  # fmt: skip
    stage.stop(teller)


def alone(stage: Stage, way: dict[str, Any], asked: Service, asked_grpc: Service) -> None:
    """Envoy as the way in."""
    record(
        stage, "envoy-tries-again", MARY.get(way["again"], "/ledger"), 500, outcome="denied", layer="database", phase="authz",
        span=At("orders", "SELECT", 2, LEDGER), reason="permission denied for table ledger", findings=["status_rewritten"],
        no_findings=["retried", "missing_hop"],
        why="The role shop has no grant on ledger: a 500, so Envoy tries three times, and the third is the answer.",
    )  # fmt: skip
    for service in (asked, asked_grpc):
        service.process.send_signal(signal.SIGSTOP)
    record(
        stage, "envoy-ask-http-frozen", MARY.get(way["http"], "/orders"), 403, **FROZEN,
        span=At("envoy", "async authorizer egress"),
        why="The authorizer hangs (SIGSTOP); after a second Envoy gives up and refuses, as is its default.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-grpc-frozen", MARY.get(way["grpc"], "/orders"), 403, **FROZEN,
        span=At("envoy", "async envoy.service.auth.v3.Authorization.Check egress"),
        why="The authorizer hangs (SIGSTOP); after a second Envoy gives up and refuses, as is its default.",
    )  # fmt: skip
    for service in (asked, asked_grpc):
        service.process.send_signal(signal.SIGCONT)


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    alone = {} if request.service == "envoy" else {"client_address": CLIENT}
    stage.record(name, request, expect=status, entry_status=status, **alone, **label)
