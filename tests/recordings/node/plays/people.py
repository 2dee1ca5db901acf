"""An Express front before Apollo Server: refusals that travel in a 200 and become a status one hop later."""

from __future__ import annotations

from kit.stage import Stage
from kit.tokens import SECRET, bearer

USES = ("@apollo/server", "graphql", "express", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    graph = stage.tools.start(stage, "graph", "graph.js", uses=USES, SECRET=SECRET)
    people = stage.tools.start(stage, "people", "people.js", GRAPH=graph.url)
    nina = {"Authorization": bearer("nina", roles=[])}
    stage.record(
        "front-of-graph-served", people.get("/people/nina", **nina), expect=200,
        outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["masked_denial", "missing_hop"],
        why="nina reads her own salary, which the resolver allows without a span that says so.",
    )  # fmt: skip
    stage.record(
        "front-of-graph-refused", people.request("DELETE", "/people/otto", None, nina), expect=403,
        outcome="denied", layer="application", phase="authz", service="graph", reason="administrators only", entry_status=403,
        why="The resolver of the mutation refuses nina in a 200, and the front makes the 403 of it.",
    )  # fmt: skip
    stage.record(
        "front-of-graph-not-logged-in", people.get("/me"), expect=401,
        outcome="denied", layer="application", phase="authn", service="graph", reason="must be logged in", entry_status=401,
        why="The resolver throws UNAUTHENTICATED in a 200, and the front makes the 401 of it.",
    )  # fmt: skip
    stage.record(
        "front-of-graph-field-refused", people.get("/people/otto", **nina), expect=200,
        outcome="partially_denied", layer="application", phase="authz", service="graph",
        reason="Not authorized to read the salary", entry_status=200,
        why="The salary's resolver refuses: it is otto's; the front shows the name that it was given.",
    )  # fmt: skip
    stage.stop(graph)
    stage.record(
        "front-of-graph-down", people.get("/me", **nina), expect=500,
        outcome="error", service="people", entry_status=500, no_findings=["missing_hop", "uninstrumented_peer"],
        why="The graph has been stopped: the front's call meets a closed port.",
    )  # fmt: skip
