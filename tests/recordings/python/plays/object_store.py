"""Flask with boto3 against moto's server, which enforces IAM policies as S3 does: a stand-in for a cloud's object store."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from family import CLIENT, OLD, STABLE, Caller
from kit.stage import At, Stage, closed_port

ACTIONS_BEFORE_POLICIES = 5  # as many as store_setup.py takes
OTHERS = {"outcome": "denied", "layer": "external_service", "confidence": ["high"]}


def perform(stage: Stage) -> None:
    port, programs = closed_port(), stage.tools.programs
    program = [programs / "moto_server", "-H", "127.0.0.1", "-p", port]
    store = stage.start("store", program, port=port, INITIAL_NO_AUTH_ACTION_COUNT=ACTIONS_BEFORE_POLICIES)
    stage.uses({"moto": stage.tools.version("moto")})
    key, secret = keys(stage, store.url)
    for spelling, convention in (("old", OLD), ("stable", STABLE)):
        given = {"STORE": store.url, "KEY": key, "KEY_SECRET": secret, **convention}
        reports = stage.tools.wsgi(stage, "reports", "reports:app", uses=("Flask", "boto3"), **given)
        read = Caller().get(reports, "/reports/open/june")
        record(
            stage, f"s3-allowed-{spelling}", read, 200, outcome="no_auth_evidence", layer=None,
            no_findings=["uninstrumented_peer"],
            why="The policy lets the service's user read below open/; a call that succeeds is no statement of a check.",
        )  # fmt: skip
        record(
            stage, f"s3-denied-{spelling}", Caller().get(reports, "/reports/closed/june"), 500, **OTHERS, phase="authz",
            span=At("reports", "S3.GetObject"), reason="AccessDenied", findings=["status_rewritten"],
            why="No policy of the service's user speaks of closed/: AccessDenied, which nothing catches.",
        )  # fmt: skip
        record(
            stage, f"s3-write-denied-{spelling}", Caller().request(reports, "PUT", "/reports/open/july", {}), 403, **OTHERS,
            phase="authz", span=At("reports", "S3.PutObject"), reason="AccessDenied", enforced_by="reports",
            no_findings=["side_effect_before_denial", "side_effect_after_denial"],
            why="The user may read below open/ and not write: AccessDenied, which the service hands on as a 403.",
        )  # fmt: skip
        stage.stop(reports)
        wrong = given | {"KEY": "AKIAIOSFODNN7EXAMPLE"}
        reports = stage.tools.wsgi(stage, "reports", "reports:app", uses=("Flask", "boto3"), **wrong)
        record(
            stage, f"s3-unknown-key-{spelling}", Caller().get(reports, "/reports/open/june"), 500, **OTHERS, phase="authn",
            span=At("reports", "S3.GetObject"), reason="InvalidAccessKeyId",
            why="The store knows no such access key: InvalidAccessKeyId, which nothing catches.",
        )  # fmt: skip
        if spelling == "old":
            stage.stop(reports)
    stage.stop(store)
    record(
        stage, "s3-down", Caller().get(reports, "/reports/open/june"), 500, outcome="error", layer="external_service",
        span=At("reports", "S3.GetObject"), no_findings=["fail_closed"],
        why="The store was stopped: botocore raises EndpointConnectionError, and Flask answers 500.",
    )  # fmt: skip


def keys(stage: Stage, url: str) -> tuple[str, str]:
    done = subprocess.run(
        [stage.tools.programs / "python", "store_setup.py", url], cwd=stage.tools.services, check=True, capture_output=True,
        text=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    key, secret = done.stdout.split()
    return key, secret


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, client_address=CLIENT, **label)
