"""Open Policy Agent asked over HTTP by orders: with spans of its own and without, broken, hanging and gone."""

from __future__ import annotations

from family import CLIENT, HERE, ask
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA

USED = ("otelhttp", "otelpgx", "pgx/v5")


def opa(stage: Stage, *options: str, traced: bool, policies: str = "opa") -> Service:
    port = closed_port()
    settings = ["--set=decision_logs.console=true", *options]
    if traced:
        address = stage.otlp.removeprefix("http://")
        settings += [f"--set=distributed_tracing.{one}" for one in (
            "type=http", f"address={address}", "service_name=opa", "encryption=off",
            "batch_span_processor_options.batch_timeout_ms=200")]  # fmt: skip
    command = [
        stage.tools.engine("opa"),
        "run",
        "--server",
        f"--addr=127.0.0.1:{port}",
        *settings,
        HERE / "services" / policies,
    ]
    return stage.start("opa", command, port=port, versions=stage.tools.version("opa"))


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        mary = bearer("mary", roles=["clerk"], tenant="north")
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}

        def chain(engine: Service, **env: object) -> Service:
            settings = {"SECRET": SECRET, "DATABASE": url, "POLICY": "opa", "OPA": engine.url, **env}
            orders = stage.tools.start(stage, "orders", "orders", uses=USED, **settings)
            gateway: Service = stage.tools.start(stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=orders.url)
            return gateway

        engine = opa(stage, traced=True)
        gateway = chain(engine)
        decided = At("opa", "POST /v1/data/{path...}")
        asked = At("orders", "HTTP POST")
        stage.record(
            "opa-allowed", ask(gateway, "GET", "/api/orders", bob), expect=200,
            outcome="allowed", confidence=["medium"], entry_status=200, no_findings=["fail_open"], **seen,
            why="The policy lets everybody read; OPA's span does not tell the result, orders went on.",
        )  # fmt: skip
        stage.record(
            "opa-denied", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=decided, enforced_by="orders", principal="bob",
            entry_status=403, confidence=["medium"], findings=["relayed_by"], **seen,
            why="The policy lets only the role clerk delete, and bob has none; orders turns OPA's no into a 403.",
        )  # fmt: skip
        stage.record(
            "opa-allowed-then-grant", ask(gateway, "GET", "/api/ledger", mary), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "SELECT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", entry_status=500, confidence=["high"],
            layers=[["database", "deny"]], findings=["status_rewritten"], **seen,
            why="The policy lets everybody audit, and then the role shop has no grant on the table ledger.",
        )  # fmt: skip
        stage.record(
            "opa-list-filtered", ask(gateway, "POST", "/api/searches", bob, {}), expect=200,
            outcome="allowed", entry_status=200, no_findings=["fail_open", "masked_denial", "retried"], **seen,
            why="orders asks of each of three orders whether bob may see it; a no of OPA only shortens the list.",
        )  # fmt: skip
        stage.record(
            "opa-policy-breaks", ask(gateway, "GET", "/api/reports", mary), expect=403,
            outcome="error", layer="policy_engine", span=decided, entry_status=403, findings=["fail_closed"], **seen,
            why="The rules for reports contradict each other: OPA answers 500, and orders refuses without a decision.",
        )  # fmt: skip
        engine.freeze()
        stage.record(
            "opa-hangs-closed", ask(gateway, "GET", "/api/orders", mary), expect=403,
            outcome="error", layer="policy_engine", span=asked, entry_status=403, findings=["fail_closed"], **seen,
            why="OPA is stopped and answers nothing within the second that orders waits; orders fails closed.",
        )  # fmt: skip
        engine.thaw()
        stage.stop(engine)
        stage.record(
            "opa-down-closed", ask(gateway, "DELETE", "/api/orders/1", mary), expect=403,
            outcome="error", layer="policy_engine", span=asked, entry_status=403, confidence=["high", "medium"],
            findings=["fail_closed"], no_findings=["fail_open"], **seen,
            why="OPA has been ended and orders was started to fail closed: the 403 is nobody's decision.",
        )  # fmt: skip
        open_gateway = chain(engine, FAIL="open")
        stage.record(
            "opa-down-open-then-grant", ask(open_gateway, "GET", "/api/ledger", bob), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "SELECT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", principal="bob", entry_status=500, confidence=["high"],
            no_findings=["fail_closed"], **seen,
            why="orders goes on without OPA's answer, and PostgreSQL refuses: the role shop has no grant on ledger.",
        )  # fmt: skip
        stage.record(
            "opa-down-open-write", ask(open_gateway, "POST", "/api/orders", bob, {"item": "lamp"}), expect=201,
            outcome="allowed", entry_status=201, findings=["fail_open"], no_findings=["fail_closed"], **seen,
            why="OPA has been ended and orders was started with FAIL=open: it writes what no policy allowed.",
        )  # fmt: skip
        silent = opa(stage, traced=False)
        gateway = chain(silent)
        stage.record(
            "opa-silent-allowed", ask(gateway, "GET", "/api/orders", bob), expect=200,
            outcome="allowed", confidence=["medium"], entry_status=200, findings=["uninstrumented_peer"], **seen,
            why="OPA runs without tracing: its yes is only visible in orders having gone on.",
        )  # fmt: skip
        stage.record(
            "opa-silent-denied", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=asked, enforced_by="orders", principal="bob",
            entry_status=403, confidence=["medium"], **seen,
            why="OPA runs without tracing; its policy lets only the role clerk delete, and orders refused on its answer.",
        )  # fmt: skip
