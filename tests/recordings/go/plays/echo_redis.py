"""Echo under otelecho with the guards it brings along, and its sessions in Redis, through go-redis under redisotel."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from family import CLIENT
from kit.stage import At, Request, Service, Stage
from kit.stores import Store, redis

ACL = [
    "user default off",
    "user root on >root ~* &* +@all",
    "user portal on >portal-secret ~session:* resetchannels +get +@connection",
]
USED = ("otelecho", "echo/v4", "redisotel/v9", "go-redis/v9")


def ask(service: Service, method: str, path: str, key: str | None, more: Mapping[str, str] | None = None) -> Request:
    headers = {"X-Forwarded-For": CLIENT} | ({"Authorization": f"Bearer {key}"} if key else {}) | dict(more or {})
    return service.request(method, path, None, headers)


def remember(store: Store, **sessions: str) -> None:
    """Sessions by key, as whoever logs people in would write them."""
    lines = ["AUTH root root", *(f"SET session:{key} {owner}" for key, owner in sessions.items()), "QUIT"]
    with socket.create_connection(("127.0.0.1", store.port), timeout=10) as one:
        one.sendall("".join(f"{line}\r\n" for line in lines).encode())
        while one.recv(4096):
            pass


def perform(stage: Stage) -> None:
    with redis(stage.cache, ACL) as store:
        stage.uses(store.versions)
        remember(store, k1="mary", k2="root")
        settings = {"SESSIONS": f"redis://portal:portal-secret@127.0.0.1:{store.port}/0", "LIMIT": 100}
        portal = stage.tools.start(stage, "portal", "portal", uses=USED, **settings)
        seen = {"client_address": CLIENT}
        stage.record(
            "echo-allowed", ask(portal, "GET", "/admin", "k2"), expect=200,
            outcome="no_auth_evidence", confidence=["high"], entry_status=200, **seen,
            why="The session k2 is root's, who may see /admin; Echo's guards tell the trace nothing.",
        )  # fmt: skip
        stage.record(
            "echo-key-unknown", ask(portal, "GET", "/reports", "k9"), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("portal", "GET /reports"),
            reason="invalid key", entry_status=401, **seen,
            why="Echo's KeyAuth finds no session k9 in Redis.",
        )  # fmt: skip
        stage.record(
            "echo-not-an-administrator", ask(portal, "GET", "/admin", "k1"), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("portal", "GET /admin"),
            reason="administrators only", entry_status=403, **seen,
            why="The session k1 is mary's, and the middleware `administrators` lets only root through.",
        )  # fmt: skip
        forged = {"Cookie": "_csrf=one-of-32-characters-from-before", "X-CSRF-Token": "another-one-of-32-characters"}
        stage.record(
            "echo-csrf", ask(portal, "POST", "/profile", "k1", forged), expect=403,
            outcome="denied", layer="application", phase="authn", span=At("portal", "POST /profile"),
            reason="invalid csrf token", entry_status=403, **seen,
            why="Echo's CSRF compares the header with its cookie, and they differ.",
        )  # fmt: skip
        stage.record(
            "echo-redis-command-denied", ask(portal, "DELETE", "/sessions/k1", "k2"), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("portal", "del"), reason="NOPERM", entry_status=500,
            findings=["status_rewritten"], **seen,
            why="The account portal may GET sessions and has no right to DEL; portal lets the error become a 500.",
        )  # fmt: skip
        busy = stage.tools.start(stage, "portal", "portal", uses=USED, **(settings | {"LIMIT": 0}))
        stage.send(ask(busy, "GET", "/admin", "k1"))
        stage.record(
            "echo-rate-limited", ask(busy, "GET", "/reports", "k1"), expect=429,
            outcome="denied", layer="rate_limiter", span=At("portal", "GET /reports"), entry_status=429, **seen,
            why="Echo's RateLimiter was started with a rate of none, and lets one request through.",
        )  # fmt: skip
        store.process.terminate()
        store.process.wait(10)
        stage.record(
            "echo-redis-down", ask(portal, "GET", "/reports", "k1"), expect=401,
            outcome="error", layer="database", span=At("portal", "get"), entry_status=401, findings=["fail_closed"],
            no_findings=["fail_open"], **seen,
            why="Redis, which holds the sessions, has been ended; KeyAuth answers 401 to whom it cannot look up.",
        )  # fmt: skip
