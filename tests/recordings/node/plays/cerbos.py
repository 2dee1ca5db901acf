"""Cerbos as policy engine of an Express service: denied, masked, in bulk, and gone with both ways to take it."""

from __future__ import annotations

from kit.stage import At, Service, Stage, closed_port

POLICY = """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: file
  version: default
  rules:
    - actions: [read, delete]
      effect: EFFECT_ALLOW
      roles: [member]
      condition: {match: {expr: request.resource.attr.owner == request.principal.id}}
"""
USES = ("@cerbos/http", "cerbos", "express", "@opentelemetry/auto-instrumentations-node")
# Cerbos records no effect: any of its spans on the way to its answer is the decider.
DECIDER = (
    At("cerbos", "/api"),
    At("cerbos", "cerbos.svc.v1.CerbosService/CheckResources", nth=1),
    At("cerbos", "engine.Check"),
    At("cerbos", "engine.Evaluate"),
    At("cerbos", "engine.Check", nth=1),
)


def start_cerbos(stage: Stage, sampler: str) -> Service:
    """Cerbos with the policy above; it samples as it is told, whatever the caller did."""
    policies = stage.folder / "policies"
    policies.mkdir()
    (policies / "file.yaml").write_text(POLICY)
    port, grpc = closed_port(), closed_port()
    program = stage.cache / "current/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"
    settings = [f"server.httpListenAddr=127.0.0.1:{port}", f"server.grpcListenAddr=127.0.0.1:{grpc}", "storage.driver=disk",
                f"storage.disk.directory={policies}", "telemetry.disabled=true"]  # fmt: skip
    return stage.start(
        "cerbos", [program, "server", *(f"--set={one}" for one in settings)], port=port,
        CERBOS_NO_TELEMETRY=1, OTEL_EXPORTER_OTLP_INSECURE="true", OTEL_PROPAGATORS="tracecontext,baggage",
        OTEL_TRACES_SAMPLER=sampler,
    )  # fmt: skip


def perform(stage: Stage) -> None:
    cerbos = start_cerbos(stage, "parentbased_always_on")
    archive = stage.tools.start(stage, "archive", "archive.js", uses=USES, CERBOS=cerbos.url)
    ines = {"X_User": "ines"}
    stage.record(
        "cerbos-allowed", archive.get("/files/1", **ines), expect=200, outcome="allowed", principal="ines", entry_status=200,
        no_findings=["masked_denial", "fail_open"],
        why="The policy lets the owner read, and file 1 belongs to ines.",
    )  # fmt: skip
    stage.record(
        "cerbos-denied", archive.request("DELETE", "/files/2", None, ines), expect=403,
        outcome="denied", layer="policy_engine", phase="authz", span=DECIDER, principal="ines", entry_status=403,
        enforced_by="archive", confidence=["medium"],
        why="The policy lets only the owner delete, file 2 belongs to olga, and Cerbos answers 200 with EFFECT_DENY.",
    )  # fmt: skip
    stage.record(
        "cerbos-denial-masked", archive.get("/files/2", **ines), expect=404,
        outcome=["allowed", "denied", "inconclusive"], entry_status=404, no_findings=["fail_open"],
        why="Cerbos answers EFFECT_DENY and the archive makes a 404 of it; the trace shows a 200 and a 404 and no effect.",
    )  # fmt: skip
    stage.record(
        "cerbos-bulk", archive.get("/files", **ines), expect=200, outcome="allowed", entry_status=200,
        no_findings=["fail_open", "masked_denial"],
        why="One check asks for all files what ines may do; the denies among the answers refuse nothing.",
    )  # fmt: skip
    stage.stop(cerbos)
    stage.record(
        "cerbos-down-refused", archive.request("DELETE", "/files/1", None, ines), expect=403,
        outcome="error", layer="policy_engine", service="archive", entry_status=403, findings=["fail_closed"],
        why="Cerbos has been stopped; the archive refuses a deletion it cannot ask about.",
    )  # fmt: skip
    stage.record(
        "cerbos-down-let-through", archive.get("/files/2", **ines), expect=200,
        outcome="allowed", entry_status=200, findings=["fail_open"],
        why="Cerbos has been stopped; the archive lets reading through when it cannot ask.",
    )  # fmt: skip
