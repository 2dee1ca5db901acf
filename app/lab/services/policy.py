"""policy: the decision point. It answers 200 with a decision; whoever asked turns a denial into a refusal."""

from typing import Annotated, Any

import fastapi
from opentelemetry import trace
from pydantic import BaseModel, Field

from app.lab.config import ServiceConfig
from app.lab.control import Act, Faults

ORDER_LIMIT_CENTS = 100_000
REFUND_LIMIT_CENTS = 50_000


class Subject(BaseModel):
    id: Annotated[str, Field(max_length=100)]
    roles: list[str]
    region: str


class Question(BaseModel):
    """May this subject do `action` on something of `region`, worth `amount_cents`?"""

    subject: Subject
    action: str
    region: str
    amount_cents: int


def decide(question: Question) -> tuple[str, str, str]:
    """`allow` or `deny`, the reason, the policy that said so."""
    subject = question.subject
    if question.action == "order.create":
        policy = "orders.limit"
        if question.amount_cents > ORDER_LIMIT_CENTS and "wholesale" not in subject.roles:
            return "deny", "an order above 1000.00 needs role wholesale", policy
    elif question.action == "order.refund":
        policy = "refunds.support-only"
        if "support" not in subject.roles:
            return "deny", "subject does not have role support", policy
        if subject.region != question.region:
            return "deny", f"support of region {subject.region} may not refund in {question.region}", policy
        if question.amount_cents > REFUND_LIMIT_CENTS:
            return "deny", "a refund above 500.00 needs a second person", policy
    else:
        return "deny", "no policy knows this action", "default.deny"
    return "allow", "", policy


def create(config: ServiceConfig, faults: Faults) -> tuple[fastapi.FastAPI, dict[str, Act]]:
    app = fastapi.FastAPI(telemetry={"operation_spans": False})
    tracer = trace.get_tracer("shop.policy")

    @app.post("/v1/decide")
    async def answer(question: Question) -> dict[str, Any]:
        with tracer.start_as_current_span("policy.evaluate") as span:
            decision, reason, policy = decide(question)
            span.set_attributes(
                {"authz.decision": decision, "authz.policy": policy, "authz.action": question.action,
                 "user.id": question.subject.id}
            )  # fmt: skip
            if reason:
                span.set_attribute("authz.reason", reason)
            return {"decision": decision, "reason": reason, "policy": policy}

    return app, {}
