"""Envoy (JWT and RBAC filters, local rate limit, ext_authz over HTTP and gRPC) before FastAPI orders with PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

from family import SHOP, STABLE, Caller
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from proxies import DETAILS, ask_grpc, ask_http, configuration, jwt, limit, listener, rbac

MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
STAFF = Caller(bearer("rose", roles=["clerk"], tenant="north", tier="staff"))
LATE = Caller(bearer("mary", lasts_s=-600))
INGRESS = At("envoy", "ingress")
OWN = {"outcome": "denied", "layer": "api_gateway", "span": INGRESS, "enforced_by": "envoy"}
ASKED = {"outcome": "denied", "layer": "policy_engine", "enforced_by": "envoy"}
HTTP_ASKED = At("authorizer", "DELETE /check/{path:path}")


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        given = {"SECRET": SECRET, **STABLE}
        orders = stage.tools.asgi(stage, "orders", "orders:app", uses=("fastapi", "asyncpg"), DATABASE=url, **given)
        asked = stage.tools.asgi(stage, "authorizer", "authorizer:app", uses=("fastapi",), **given)
        asked_grpc = stage.tools.script(stage, "authorizer-grpc", "python", "authorizer_grpc.py", uses=("grpcio",), **given)
        clusters = {"orders": orders.port, "authorizer": asked.port, "authorizer_grpc": asked_grpc.port, "dead": closed_port()}
        ways = {
            "tokens": ([jwt(), rbac()], None, "orders"),
            "reasons": ([jwt(), rbac()], DETAILS, "orders"),
            "keys": ([jwt("dead")], None, "orders"),
            "limit": ([limit()], None, "orders"),
            "http": ([ask_http("authorizer")], None, "orders"),
            "grpc": ([ask_grpc("authorizer_grpc")], None, "orders"),
            "closed": ([ask_http("dead")], None, "orders"),
            "open": ([ask_http("dead", fail_open=True)], None, "orders"),
            "gone": ([jwt()], None, "dead"),
        }
        ports = {name: closed_port() for name in ways}
        listeners = [listener(ports[name], filters, tags=tags, to=to) for name, (filters, tags, to) in ways.items()]
        envoy = stage.tools.envoy(stage, configuration(listeners, clusters, stage.otlp), ports["tokens"])
        way = {name: Service("envoy", envoy.process, port, envoy.versions) for name, port in ports.items()}
        own_checks(stage, way)
        others_asked(stage, way)


def own_checks(stage: Stage, way: dict[str, Any]) -> None:
    for name, sure in (("tokens", ["medium"]), ("reasons", ["high"])):
        spelling = "details" if name == "reasons" else "plain"
        explained = spelling == "details"
        record(
            stage, f"envoy-jwt-missing-{spelling}", Caller().get(way[name], "/orders"), 401, **OWN, phase="authn",
            confidence=sure, **({"reason": "Jwt_is_missing"} if explained else {}),
            why="Envoy's JWT filter wants a token of every request.",
        )  # fmt: skip
        record(
            stage, f"envoy-jwt-expired-{spelling}", LATE.get(way[name], "/orders"), 401, **OWN, phase="authn",
            confidence=sure, **({"reason": "Jwt_is_expired"} if explained else {}),
            why="Envoy's JWT filter finds the token expired ten minutes ago.",
        )  # fmt: skip
        record(
            stage, f"envoy-rbac-{spelling}", MARY.request(way[name], "DELETE", "/orders/1"), 403, **OWN, phase="authz",
            **({"reason": "rbac_access_denied_matched_policy[none]"} if explained else {}), confidence=sure,
            why="Envoy's RBAC filter lets only staff do more than read; Mary's token does not say staff.",
        )  # fmt: skip
        record(
            stage, f"envoy-allowed-{spelling}", MARY.get(way[name], "/orders"), 200, outcome="no_auth_evidence", layer=None,
            no_findings=["missing_hop", "uninstrumented_peer", "broken_propagation"],
            why="The JWT and RBAC filters let the request pass, which Envoy's spans do not say, and orders' own check neither.",
        )  # fmt: skip
        record(
            stage, f"envoy-relays-{spelling}", STAFF.request(way[name], "DELETE", "/orders/1"), 403, outcome="denied",
            layer="application", phase="authz", confidence=["medium"], span=At("orders", "DELETE /orders/{number}"),
            findings=["relayed_by"], no_findings=["missing_hop"],
            why="Envoy lets staff through; orders' dependency asks for the role manager and answers 403.",
        )  # fmt: skip
    record(
        stage, "envoy-keys-unreachable", MARY.get(way["keys"], "/orders"), 401, outcome="error", layer="identity_provider",
        span=At("envoy", "JWT Remote PubKey Fetch"), findings=["fail_closed"], confidence=["high"],
        why="The JWT filter cannot fetch the keys from a port where nobody listens, so it refuses a token that is good.",
    )  # fmt: skip
    stage.send(MARY.get(way["limit"], "/orders"))
    time.sleep(2)
    record(
        stage, "envoy-limited", MARY.get(way["limit"], "/orders"), 429, outcome="denied", layer="rate_limiter", span=INGRESS,
        why="The local rate limit filter gives out one token an hour; this was the second request.",
    )  # fmt: skip
    record(
        stage, "envoy-upstream-down", MARY.get(way["gone"], "/orders"), 503, outcome="error", layer="service_mesh",
        confidence=["low"], why="The route leads to a port where nobody listens: 503 with UF, after the token was found good.",
    )  # fmt: skip


def others_asked(stage: Stage, way: dict[str, Any]) -> None:
    record(
        stage, "envoy-ask-http-allowed", MARY.get(way["http"], "/orders"), 200, outcome="allowed", layer=None,
        confidence=["high"], layers=[["policy_engine", "allow"]], no_findings=["fail_open"],
        why="The authorizer answers Envoy's check with 200 (ext_authz_ok), and orders serves.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-http-denied", MARY.request(way["http"], "DELETE", "/orders/1"), 403, **ASKED, phase="authz",
        span=HTTP_ASKED, no_findings=["fail_closed"],
        why="The authorizer answers Envoy's check with 403: a clerk may not remove. Envoy enforces it.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-http-unknown", LATE.get(way["http"], "/orders"), 401, **ASKED, phase="authn",
        span=At("authorizer", "GET /check/{path:path}"), no_findings=["fail_closed"],
        why="The authorizer finds the token expired and answers Envoy's check with 401.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-grpc-allowed", MARY.get(way["grpc"], "/orders"), 200, outcome="allowed", layer=None,
        layers=[["policy_engine", "allow"]], confidence=["high"],
        why="The authorizer answers Check with OK (ext_authz_ok), and orders serves.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-grpc-denied", MARY.request(way["grpc"], "DELETE", "/orders/1"), 403, **ASKED, phase="authz",
        span=At("authorizer-grpc", "/envoy.service.auth.v3.Authorization/Check"), no_findings=["fail_closed"],
        why="The call to Check is OK and its answer says PERMISSION_DENIED: a clerk may not remove. Envoy enforces it.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-fails-closed", MARY.get(way["closed"], "/orders"), 403, outcome="error", layer="policy_engine",
        span=At("envoy", "async dead egress"), findings=["fail_closed"], no_findings=["fail_open"],
        why="Nobody listens where the authorizer should be, and Envoy's default is to refuse: 403 with UAEX.",
    )  # fmt: skip
    record(
        stage, "envoy-ask-fails-open", MARY.get(way["open"], "/orders"), 200, outcome="allowed", layer=None,
        findings=["fail_open"], no_findings=["fail_closed"],
        why="Nobody listens where the authorizer should be, and failure_mode_allow lets the request through.",
    )  # fmt: skip


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, **label)
