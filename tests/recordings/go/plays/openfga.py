"""OpenFGA asked over HTTP by orders: with spans of its own and without, refusing its caller, and gone."""

from __future__ import annotations

import json
import urllib.request

from family import CLIENT, HERE, ask
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA

USED = ("otelhttp", "otelpgx", "pgx/v5")
TUPLES = [("mary", "clerk", "all"), ("mary", "clerk", "1"), ("bob", "owner", "all"), ("bob", "owner", "1")]
# Its gRPC server refuses with a code of its own, which its REST server tells as 401.
REFUSED = (At("openfga", "openfga.v1.OpenFGAService/Check", 1), At("openfga", "POST"))


def openfga(stage: Stage, *options: str) -> Service:
    port = closed_port()
    addresses = [f"--http-addr=127.0.0.1:{port}", f"--grpc-addr=127.0.0.1:{closed_port()}"]
    command = [
        stage.tools.engine("openfga"),
        "run",
        *addresses,
        "--playground-enabled=false",
        "--metrics-enabled=false",
        *options,
    ]
    # Its two servers speak to each other through a socket, whose path the spans tell.
    return stage.start("openfga", command, port=port, versions=stage.tools.version("openfga"), TMPDIR=stage.folder)


def store(engine: Service) -> str:
    """A store with the model and the tuples; its id."""
    held: str = _post(engine, "/stores", {"name": "shop"})["id"]
    _post(engine, f"/stores/{held}/authorization-models", json.loads((HERE / "services/openfga/model.json").read_text()))
    keys = [{"user": f"user:{user}", "relation": relation, "object": f"order:{order}"} for user, relation, order in TUPLES]
    _post(engine, f"/stores/{held}/write", {"writes": {"tuple_keys": keys}})
    return held


def _post(engine: Service, path: str, body: object) -> dict[str, str]:
    request = urllib.request.Request(engine.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        said: dict[str, str] = json.load(answer)
        return said


def gateway_before(stage: Stage, engine: Service, held: str, **env: object) -> Service:
    """A gateway before orders that ask the engine about the store `held`."""
    settings = {"SECRET": SECRET, "POLICY": "openfga", "OPENFGA": engine.url, "STORE": held, **env}
    orders = stage.tools.start(stage, "orders", "orders", uses=USED, **settings)
    gateway: Service = stage.tools.start(stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=orders.url)
    return gateway


def told(stage: Stage) -> tuple[str, ...]:
    """OpenFGA sends its spans over gRPC alone."""
    collector = stage.tools.start(stage, "otlp", "otlp")
    return ("--trace-enabled", f"--trace-otlp-endpoint=127.0.0.1:{collector.port}", "--trace-sample-ratio=1")


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        mary = bearer("mary", roles=["clerk"], tenant="north")
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}
        traced = told(stage)

        def chain(engine: Service, held: str, **env: object) -> Service:
            return gateway_before(stage, engine, held, DATABASE=url, **env)

        engine = openfga(stage, *traced)
        held = store(engine)
        gateway = chain(engine, held)
        decided = At("openfga", "Check")
        asked = At("orders", "HTTP POST")
        stage.record(
            "openfga-allowed", ask(gateway, "GET", "/api/orders", mary), expect=200,
            outcome="allowed", confidence=["high"], entry_status=200, layers=[["policy_engine", "allow"]],
            no_findings=["fail_open"], **seen,
            why="A tuple makes mary clerk of order:all, and a clerk can_read; Check says allowed=true.",
        )  # fmt: skip
        stage.record(
            "openfga-denied", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=decided, enforced_by="orders",
            entry_status=403, confidence=["high"], findings=["relayed_by"], **seen,
            why="can_delete is the clerk's, and bob is only the owner of order:1; Check says allowed=false.",
        )  # fmt: skip
        stage.record(
            "openfga-list-filtered", ask(gateway, "POST", "/api/searches", bob, {}), expect=200,
            outcome="allowed", entry_status=200, no_findings=["fail_open", "masked_denial", "retried"], **seen,
            why="Of three orders bob may view the first; two checks say allowed=false and only shorten the list.",
        )  # fmt: skip
        stage.record(
            "openfga-allowed-then-grant", ask(gateway, "GET", "/api/ledger", bob), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "SELECT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", entry_status=500, confidence=["high"],
            layers=[["policy_engine", "allow"], ["database", "deny"]], findings=["status_rewritten"], **seen,
            why="bob can_audit as an owner, and then the role shop has no grant on the table ledger.",
        )  # fmt: skip
        stage.record(
            "openfga-relation-unknown", ask(gateway, "GET", "/api/reports", mary), expect=403,
            outcome="error", layer="policy_engine", span=decided, reason="not found", entry_status=403,
            findings=["fail_closed"], no_findings=["fail_open"], **seen,
            why="The model has no relation can_report: OpenFGA answers 400 and decides nothing, orders fails closed.",
        )  # fmt: skip
        locked = openfga(stage, *traced, "--authn-method=preshared", "--authn-preshared-keys=a-key-of-the-recordings")
        stage.record(
            "openfga-refuses-its-caller", ask(chain(locked, held), "GET", "/api/orders", mary), expect=403,
            outcome="denied", layer="policy_engine", phase="authn", span=REFUSED, entry_status=403,
            findings=["status_rewritten"], **seen,
            why="OpenFGA wants a preshared key, and orders has none: it is refused before anything is checked.",
        )  # fmt: skip
        stage.stop(engine)
        stage.record(
            "openfga-down-closed", ask(gateway, "GET", "/api/orders", mary), expect=403,
            outcome="error", layer="policy_engine", span=asked, entry_status=403, findings=["fail_closed"],
            no_findings=["fail_open"], **seen,
            why="OpenFGA has been ended and orders was started to fail closed: the 403 is nobody's decision.",
        )  # fmt: skip
        stage.record(
            "openfga-down-open", ask(chain(engine, held, FAIL="open"), "GET", "/api/orders", bob), expect=200,
            outcome="allowed", entry_status=200, findings=["fail_open"], no_findings=["fail_closed"], **seen,
            why="OpenFGA has been ended and orders was started with FAIL=open: it shows what no tuple allowed.",
        )  # fmt: skip
        silent = openfga(stage)
        stage.record(
            "openfga-silent-denied", ask(chain(silent, store(silent)), "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=asked, enforced_by="orders", entry_status=403,
            confidence=["medium"], **seen,
            why="OpenFGA runs without tracing; can_delete is the clerk's, and bob is only the owner of order:1.",
        )  # fmt: skip
