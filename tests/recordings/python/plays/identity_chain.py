"""A gateway that asks an identity service (userinfo, RFC 7662 introspection) about each token; logins; and what breaks."""

from __future__ import annotations

import signal
from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer

GATEWAY = ("fastapi", "httpx")
IDENTITY = ("fastapi", "SQLAlchemy", "psycopg2-binary")
BROKEN = {"outcome": "error", "layer": "identity_provider", "confidence": ["high"]}


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            given = {"SECRET": SECRET, "DATABASE": url, **convention}
            identity = stage.tools.asgi(stage, "identity", "identity:app", uses=IDENTITY, **given)
            orders = stage.tools.asgi(stage, "orders", "orders:app", uses=("asyncpg",), **given)
            userinfo(stage, spelling, given | {"IDENTITY": identity.url, "ORDERS": orders.url, "CHECK": "userinfo"})
            introspection(stage, spelling, given | {"IDENTITY": identity.url, "ORDERS": orders.url, "CHECK": "introspect"})
            logins(stage, spelling, identity, orders, given)
            stage.stop(identity)
            wrong = given | {"DATABASE": url.replace("shop-secret", "forgotten")}
            stage.stop(store(stage, f"identity-store-login-{spelling}", wrong, **STORE_REFUSES))
            if spelling == "old":
                stage.stop(orders)
        identity = stage.tools.asgi(stage, "identity", "identity:app", uses=IDENTITY, **given)
        database.process.send_signal(signal.SIGINT)
        database.process.wait(20)
        gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, ORDERS=orders.url, **given)
        stage.record(
            "fastapi-database-down", MARY.get(gateway, "/api/orders"), expect=500, entry_status=500, client_address=CLIENT,
            outcome="error", span=At("orders", "GET /orders"), confidence=["high", "medium"], no_findings=["fail_closed"],
            why="PostgreSQL was stopped: orders cannot connect, which asyncpg makes no span of, and crashes with a 500.",
        )  # fmt: skip


MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
FORGED = Caller(bearer("mary", secret="another secret altogether, not ours", tenant="north"))
STORE_REFUSES = {
    "expect": 500, "outcome": "denied", "layer": "database", "phase": "authn", "confidence": ["medium"],
    "span": At("identity", "connect"), "reason": "password authentication failed", "findings": ["status_rewritten"],
    "why": "The identity service's own password for PostgreSQL is wrong; psycopg2 gives words, no code; the client sees 500.",
}  # fmt: skip


def userinfo(stage: Stage, spelling: str, given: dict[str, Any]) -> None:
    gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, **given)
    stage.record(
        f"userinfo-allowed-{spelling}", MARY.get(gateway, "/api/orders"), expect=200, entry_status=200, client_address=CLIENT,
        outcome="allowed", layer=None, layers=[["identity_provider", "allow"]], no_findings=["fail_open"],
        why="The identity service's userinfo endpoint knows the token (200); the gateway hands the request on.",
    )  # fmt: skip
    stage.record(
        f"userinfo-denied-{spelling}", FORGED.get(gateway, "/api/orders"), expect=401, entry_status=401, client_address=CLIENT,
        outcome="denied", layer="identity_provider", phase="authn", span=At("identity", "GET /userinfo"),
        enforced_by="gateway", no_findings=["relayed_by", "missing_hop"],
        why="The token is signed with another secret: the identity's userinfo answers 401, and the gateway, which asked, too.",
    )  # fmt: skip
    stage.stop(gateway)


def introspection(stage: Stage, spelling: str, given: dict[str, Any]) -> None:
    gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, **given)
    stage.record(
        f"introspection-inactive-{spelling}", FORGED.get(gateway, "/api/orders"), expect=401, entry_status=401,
        client_address=CLIENT, outcome=["inconclusive", "denied"], layer=[None, "identity_provider"],
        confidence=["medium", "low"], no_findings=["fail_closed", "missing_hop"],
        why="The identity service says active=false, in a body that the trace does not hold; the gateway answers 401.",
    )  # fmt: skip
    stage.stop(gateway)
    closed = given | {"IDENTITY": f"http://127.0.0.1:{closed_port()}"}
    gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, **closed)
    stage.record(
        f"introspection-down-{spelling}", MARY.get(gateway, "/api/orders"), expect=401, entry_status=401, client_address=CLIENT,
        **BROKEN, span=At("gateway", "POST"), findings=["fail_closed"], no_findings=["fail_open", "uninstrumented_peer"],
        why="Nobody listens where the identity service should be; the gateway makes a 401 of it.",
    )  # fmt: skip
    stage.stop(gateway)
    gateway = stage.tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, **closed, FAIL_OPEN="yes")
    stage.record(
        f"introspection-fail-open-{spelling}", MARY.get(gateway, "/api/orders"), expect=200, entry_status=200,
        client_address=CLIENT, outcome="allowed", layer=None, findings=["fail_open"], no_findings=["fail_closed"],
        why="Nobody listens where the identity service should be, and the gateway is told to let requests through then.",
    )  # fmt: skip
    stage.stop(gateway)


def logins(stage: Stage, spelling: str, identity: Any, orders: Any, given: dict[str, Any]) -> None:
    stage.record(
        f"login-wrong-password-{spelling}", Caller().form(identity, "/token", "username=mary&password=guess"), expect=401,
        entry_status=401, client_address=CLIENT, outcome="denied", layer="identity_provider", phase="authn",
        span=At("identity", "POST /token"), confidence=["medium"], no_findings=["side_effect_before_denial"],
        why="The password is not the one in the table of users, which the identity service reads and compares itself.",
    )  # fmt: skip
    stale = bearer("mary", lasts_s=-60).removeprefix("Bearer ")
    common = {"IDENTITY": identity.url, "ORDERS": orders.url, "STALE": stale, **given}
    desk = stage.tools.asgi(stage, "desk", "desk:app", uses=GATEWAY, **common, PASSWORD="clerk-of-north")
    stage.record(
        f"token-renewed-{spelling}", Caller().get(desk, "/desk/orders"), expect=200, entry_status=200, client_address=CLIENT,
        outcome="allowed", layer=None, findings=["retried"], no_findings=["fail_open", "side_effect_before_denial"],
        why="orders refuses the expired token, the desk gets a new one from identity, and its second call succeeds.",
    )  # fmt: skip
    stage.stop(desk)
    desk = stage.tools.asgi(stage, "desk", "desk:app", uses=GATEWAY, **common, PASSWORD="forgotten")
    stage.record(
        f"token-not-renewed-{spelling}", Caller().get(desk, "/desk/orders"), expect=401, entry_status=401,
        client_address=CLIENT, outcome="denied", layer="identity_provider", phase="authn", span=At("identity", "POST /token"),
        no_findings=["retried", "fail_open"],
        why="orders refuses the expired token; the desk goes on to the identity service, which does not know its password.",
    )  # fmt: skip
    stage.stop(desk)


def store(stage: Stage, name: str, given: dict[str, Any], **label: Any) -> Any:
    """A login while the identity service cannot get into its database, as the label says."""
    identity = stage.tools.asgi(stage, "identity", "identity:app", uses=IDENTITY, **given)
    request = Caller().form(identity, "/token", "username=mary&password=clerk-of-north")
    stage.record(name, request, entry_status=500, client_address=CLIENT, **label)
    return identity
