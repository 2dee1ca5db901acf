"""ioredis and node-redis before Redis with ACLs: keys and commands an account may not touch, a wrong password, Redis gone."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import redis

ACL = [
    "user default on nopass ~* &* +@all",
    "user cart on >cart-secret ~cart:* ~login:* resetchannels +@read +@write +@connection -@dangerous +info",
]
CURRENT = ("ioredis", "express", "@opentelemetry/auto-instrumentations-node")
LEGACY = ("redis", "express", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    with redis(stage.cache, ACL) as store:
        stage.uses(store.versions)
        url, wrong = (f"redis://cart:{word}@127.0.0.1:{store.port}" for word in ("cart-secret", "a-wrong-one"))
        cart = stage.tools.start(stage, "cart", "cart.js", uses=CURRENT, REDIS_URL=url)
        stage.record(
            "ioredis-read", cart.get("/cart?of=eve"), expect=200, outcome="no_auth_evidence", entry_status=200,
            why="The account cart may read the key, and nobody asks who the caller is.",
        )  # fmt: skip
        stage.record(
            "ioredis-key-denied", cart.get("/sessions/eve"), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("cart", "get"), reason="NOPERM", entry_status=500,
            confidence=["high"], findings=["status_rewritten"],
            why="The account cart has the key patterns cart:* and login:*, not session:*.",
        )  # fmt: skip
        stage.record(
            "ioredis-command-denied", cart.post("/maintenance"), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("cart", "flushall"), reason="NOPERM", entry_status=500,
            findings=["status_rewritten", "side_effect_before_denial"], side_effects=[["cache_write", "before_denial"]],
            why="FLUSHALL is among the dangerous commands that the account cart lacks; a key was set before it.",
        )  # fmt: skip
        stage.stop(cart)
        cart = stage.tools.start(stage, "cart", "cart.js", uses=CURRENT, REDIS_URL=url)
        store.process.terminate()
        store.process.wait(10)
        stage.record(
            "ioredis-session-store-down", cart.get("/account"), expect=401,
            outcome="error", layer="database", service="cart", entry_status=401, findings=["fail_closed"],
            why="Redis, which holds the logins, has been stopped; requireSession answers 401 to whom it cannot look up.",
        )  # fmt: skip
    with redis(stage.cache, ACL) as store:
        url, wrong = (f"redis://cart:{word}@127.0.0.1:{store.port}" for word in ("cart-secret", "a-wrong-one"))
        old = stage.tools.start(stage, "cart-4", "cart.js", tree="legacy", uses=LEGACY, REDIS_URL=url)
        stage.record(
            "node-redis4-command-denied", old.post("/maintenance"), expect=500,
            outcome="denied", layer="database", phase="authz", service="cart-4", reason="NOPERM", entry_status=500,
            findings=["status_rewritten"],
            why="FLUSHALL is among the dangerous commands that the account cart lacks.",
        )  # fmt: skip
        locked_out = stage.tools.start(stage, "cart-5", "cart.js", tree="legacy", uses=LEGACY, REDIS_URL=wrong)
        stage.record(
            "node-redis4-wrong-password", locked_out.get("/cart?of=eve"), expect=500,
            outcome="denied", layer="database", phase="authn", service="cart-5", reason="WRONGPASS", entry_status=500,
            why="The service is configured with a wrong password of its Redis account.",
        )  # fmt: skip
    down = stage.tools.start(stage, "cart-6", "cart.js", tree="legacy", uses=LEGACY, REDIS_URL=url)
    stage.record(
        "node-redis4-down", down.get("/cart?of=eve"), expect=500,
        outcome="error", layer="database", service="cart-6", entry_status=500,
        why="Redis has been stopped when the service wants to connect.",
    )  # fmt: skip
