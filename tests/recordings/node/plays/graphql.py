"""GraphQL under Apollo Server and graphql-http: an operation refused, a field refused beside others, nobody logged in."""

from __future__ import annotations

from kit.stage import Stage
from kit.tokens import SECRET, bearer

CURRENT = ("@apollo/server", "graphql", "express", "@opentelemetry/auto-instrumentations-node")
LEGACY = ("graphql-http", "graphql", "express", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    for name, tree, uses in (("apollo5", "current", CURRENT), ("graphql-http", "legacy", LEGACY)):
        graph = stage.tools.start(stage, "graph", "graph.js", tree=tree, uses=uses, SECRET=SECRET)
        nina = {"Authorization": bearer("nina", roles=[]), "Accept": "application/json"}
        stage.record(
            f"{name}-allowed", graph.post("/graphql", {"query": '{ person(id: "nina") { name salary } }'}, **nina), expect=200,
            outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["masked_denial"],
            why="nina reads her own salary, which the resolver allows without a span that says so.",
        )  # fmt: skip
        stage.record(
            f"{name}-operation-refused", graph.post("/graphql", {"query": 'mutation { dismiss(id: "otto") }'}, **nina),
            expect=200, outcome="denied", layer="application", phase="authz", service="graph", reason="administrators only",
            entry_status=200, findings=["masked_denial"],
            why="The resolver of the only field of the mutation refuses nina, who is no administrator; the answer is a 200.",
        )  # fmt: skip
        stage.record(
            f"{name}-field-refused", graph.post("/graphql", {"query": '{ person(id: "otto") { name salary } }'}, **nina),
            expect=200, outcome="partially_denied", layer="application", phase="authz", service="graph",
            reason="Not authorized to read the salary", entry_status=200,
            why="The name is given, the salary's resolver refuses: it is otto's, and nina asks.",
        )  # fmt: skip
        if name == "apollo5":
            stage.record(
                "apollo5-not-logged-in", graph.post("/graphql", {"query": "{ me { name } }"}), expect=200,
                outcome="denied", layer="application", phase="authn", service="graph", reason="must be logged in",
                entry_status=200, findings=["masked_denial"],
                why="The resolver of the only field throws UNAUTHENTICATED: the request has no token.",
            )  # fmt: skip
        stage.stop(graph)
