"""Cerbos asked over HTTP by orders: with spans of its own, without, and gone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from family import CLIENT, HERE, ask
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA

USED = ("otelhttp", "otelpgx", "pgx/v5")
VERSION = "0.51.0"
# One decision on several spans: its REST and gRPC servers, and the engine within. None of them says the effect.
DECIDED = (
    At("cerbos", "cerbos.svc.v1.CerbosService/CheckResources", 1),
    At("cerbos", "/api"),
    *(At("cerbos", name) for name in ("engine.Check", "engine.CheckSerial", "engine.Evaluate")),
    At("cerbos", "engine.Check", 1),
)


def cerbos(stage: Stage, **env: object) -> Service:
    """The program as its maker puts it into an npm package: the module wants a newer Go than is at hand."""
    folder = stage.cache / f"cerbos-{VERSION}"
    program = folder / "node_modules" / "@cerbos" / "cerbos-linux-x64" / "cerbos-linux-x64"
    if not program.exists():
        folder.mkdir(exist_ok=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder, f"cerbos@{VERSION}"]
        subprocess.run(npm, check=True)
    port = closed_port()
    settings = {
        "server.httpListenAddr": f"127.0.0.1:{port}",
        "server.grpcListenAddr": f"127.0.0.1:{closed_port()}",
        "storage.driver": "disk",
        "storage.disk.directory": HERE / "services" / "cerbos",
        "telemetry.disabled": "true",
    }
    command: list[str | Path] = [program, "server", *(f"--set={key}={value}" for key, value in settings.items())]
    env = {"OTEL_PROPAGATORS": "tracecontext,baggage", **env}
    return stage.start("cerbos", command, port=port, versions={"cerbos": VERSION}, **env)


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}
        engine = cerbos(stage)

        def chain(engine: Service, **env: object) -> Service:
            settings = {"SECRET": SECRET, "DATABASE": url, "POLICY": "cerbos", "CERBOS": engine.url, **env}
            orders = stage.tools.start(stage, "orders", "orders", uses=USED, **settings)
            gateway: Service = stage.tools.start(stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=orders.url)
            return gateway

        gateway = chain(engine)
        asked = At("orders", "HTTP POST")
        stage.record(
            "cerbos-allowed", ask(gateway, "GET", "/api/orders", bob), expect=200,
            outcome="allowed", confidence=["medium"], entry_status=200, no_findings=["fail_open"], **seen,
            why="The policy lets every user read; Cerbos' spans do not tell the effect, orders went on.",
        )  # fmt: skip
        stage.record(
            "cerbos-denied", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=DECIDED, enforced_by="orders", principal="bob",
            entry_status=403, confidence=["medium"], findings=["relayed_by"], **seen,
            why="The policy lets only the role clerk delete, and bob has none; Cerbos says so in the body of a 200.",
        )  # fmt: skip
        stage.record(
            "cerbos-list-filtered", ask(gateway, "POST", "/api/searches", bob, {}), expect=200,
            outcome="allowed", entry_status=200, no_findings=["fail_open", "masked_denial", "retried"], **seen,
            why="orders asks of each of three orders whether bob may see it; a no of Cerbos only shortens the list.",
        )  # fmt: skip
        stage.stop(engine)
        stage.record(
            "cerbos-down-closed", ask(gateway, "GET", "/api/orders", bob), expect=403,
            outcome="error", layer="policy_engine", span=asked, entry_status=403, findings=["fail_closed"],
            no_findings=["fail_open"], **seen,
            why="Cerbos has been ended and orders was started to fail closed: the 403 is nobody's decision.",
        )  # fmt: skip
        stage.record(
            "cerbos-down-open", ask(chain(engine, FAIL="open"), "GET", "/api/orders", bob), expect=200,
            outcome="allowed", entry_status=200, findings=["fail_open"], no_findings=["fail_closed"], **seen,
            why="Cerbos has been ended and orders was started with FAIL=open: it shows what no policy allowed.",
        )  # fmt: skip
        silent = cerbos(stage, OTEL_TRACES_SAMPLER="always_off")
        stage.record(
            "cerbos-silent-denied", ask(chain(silent), "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=asked, enforced_by="orders", principal="bob",
            entry_status=403, confidence=["medium"], **seen,
            why="Cerbos samples nothing; its policy lets only the role clerk delete, and bob has none.",
        )  # fmt: skip
