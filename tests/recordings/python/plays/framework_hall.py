"""Four doors in a row, each in another framework: Tornado, aiohttp, Pyramid, Falcon; MariaDB behind the last."""

from __future__ import annotations

from typing import Any

from family import CLIENT, OLD, STABLE, Caller
from kit.stage import At, Stage, closed_port
from kit.stores import mariadb
from kit.tokens import SECRET, bearer

DOORS = ("tornado", "aiohttp", "pyramid", "falcon")
SCHEMA = """
CREATE DATABASE shop;
CREATE TABLE shop.rooms (id int PRIMARY KEY, name text);
INSERT INTO shop.rooms VALUES (1, 'library'), (2, 'cellar');
CREATE USER 'hall'@'%' IDENTIFIED BY 'hall-secret';
GRANT SELECT ON shop.rooms TO 'hall'@'%';
"""
SHUT = {"outcome": "denied", "layer": "application", "confidence": ["medium"]}


def perform(stage: Stage) -> None:
    with mariadb(stage.cache, SCHEMA) as database:
        stage.uses(database.versions)
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            given = {"SECRET": SECRET, "DATABASE_PORT": database.port, "DATABASE_PASSWORD": "hall-secret", **convention}
            falcon = stage.tools.wsgi(stage, "falcon", "hall_falcon:app", uses=("falcon", "PyMySQL"), **given)
            pyramid = stage.tools.wsgi(
                stage, "pyramid", "hall_pyramid:app", uses=("pyramid", "requests"), NEXT=falcon.url, **given
            )
            aiohttp = script(stage, "aiohttp", given | {"NEXT": pyramid.url})
            tornado = script(stage, "tornado", given | {"NEXT": aiohttp.url})
            doors(stage, tornado, spelling)
            stage.stop(falcon)
            stage.record(
                f"hall-falcon-down-{spelling}", keys(4).get(tornado, "/rooms/1"), expect=500, entry_status=500,
                outcome="error", span=At("pyramid", "GET"), client_address=CLIENT,
                no_findings=["uninstrumented_peer", "missing_hop", "fail_closed"],
                why="The last door was stopped: requests raises ConnectionError in Pyramid's view, and a 500 goes up.",
            )  # fmt: skip
            for service in (tornado, aiohttp, pyramid):
                stage.stop(service)


def doors(stage: Stage, tornado: Any, spelling: str) -> None:
    def record(name: str, caller: Caller, status: int, method: str = "GET", **label: Any) -> None:
        request = caller.request(tornado, method, "/rooms/1")
        stage.record(f"hall-{name}-{spelling}", request, expect=status, entry_status=status, client_address=CLIENT, **label)

    record(
        "allowed", keys(4), 200, outcome="no_auth_evidence", layer=None, no_findings=["missing_hop", "uninstrumented_peer"],
        why="All four doors open, and none of their frameworks' instrumentations has spans of a check.",
    )  # fmt: skip
    record(
        "no-token", Caller(), 401, **SHUT, phase="authn", span=At("tornado", "GET /rooms/{room}"),
        why="Tornado's handler wants a token in prepare() and raises HTTPError(401).",
    )  # fmt: skip
    for number, door in enumerate(DOORS):
        # Pyramid's instrumentation leaves the method out.
        name = "/rooms/{room}" if door == "pyramid" else "GET /rooms/{room}"
        record(
            f"{door}-shut", keys(number), 403, **SHUT, phase="authz", span=At(door, name), enforced_by=door,
            findings=["relayed_by"] if number else [], no_findings=["missing_hop", "status_rewritten"],
            why=f"The token opens the first {number} doors; the check of the next, in {door}, answers 403.",
        )  # fmt: skip
    record(
        "grant", keys(4), 500, "DELETE", outcome="denied", layer="database", phase="authz", span=At("falcon", "DELETE"),
        reason="DELETE command denied to user", confidence=["high"], findings=["status_rewritten", "relayed_by"],
        no_findings=["side_effect_before_denial", "side_effect_after_denial"],
        why="The user hall may only SELECT: MariaDB's error 1142, which nothing catches, so every door hands a 500 on.",
    )  # fmt: skip


def keys(count: int) -> Caller:
    return Caller(bearer("mary", doors=DOORS[:count]))


def script(stage: Stage, framework: str, given: dict[str, Any]) -> Any:
    port = closed_port()
    command = ("python", f"hall_{framework}.py")
    return stage.tools.script(stage, framework, *command, port=port, uses=(framework,), PORT=port, **given)
