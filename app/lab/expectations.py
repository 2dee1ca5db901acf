"""What the shop is configured to answer, case by case: the words are those of docs/method.md."""

from __future__ import annotations

from app.analysis.verdict import FindingKind, Layer, Outcome, Phase
from app.lab.config import BILLING, GATEWAY, IDENTITY, ORDERS, POLICY
from app.lab.truth import Expected

ALLOWED = Expected(200, Outcome.ALLOWED)
CREATED = Expected(201, Outcome.ALLOWED)
# The catalogue is open to all: nothing is checked, so nothing can be said.
OPEN = Expected(200, Outcome.NO_AUTH_EVIDENCE)

BAD_PASSWORD = Expected(401, Outcome.DENIED, Layer.IDENTITY_PROVIDER, Phase.AUTHN, IDENTITY, "invalid_credentials")
UNKNOWN_USER = Expected(401, Outcome.DENIED, Layer.IDENTITY_PROVIDER, Phase.AUTHN, IDENTITY, "unknown_user")
LOCKED = Expected(401, Outcome.DENIED, Layer.IDENTITY_PROVIDER, Phase.AUTHN, IDENTITY, "account_locked")

TOKEN_EXPIRED = Expected(401, Outcome.DENIED, Layer.API_GATEWAY, Phase.AUTHN, GATEWAY, "token_expired")
ROUTE_CLOSED = Expected(403, Outcome.DENIED, Layer.API_GATEWAY, Phase.AUTHZ, GATEWAY, "insufficient_scope")
ROLE_MISSING = Expected(403, Outcome.DENIED, Layer.APPLICATION, Phase.AUTHZ, ORDERS, "forbidden")
NOT_THE_OWNER = Expected(404, Outcome.DENIED, Layer.APPLICATION, Phase.AUTHZ, ORDERS, "forbidden", (FindingKind.MASKED_DENIAL,))
# No such thing: the checks that were asked passed, and the answer is about the order.
NO_SUCH_ORDER = Expected(404, Outcome.ALLOWED)
NOT_MY_INVOICE = Expected(403, Outcome.DENIED, Layer.APPLICATION, Phase.AUTHZ, BILLING, "forbidden")
# Asking for a second factor is a matter of who you are as much as of what you may.
SECOND_FACTOR = Expected(403, Outcome.DENIED, Layer.APPLICATION, None, BILLING, "mfa_required")
# The database's own refusal; orders does not catch it and answers 500.
ROW_OF_ANOTHER = Expected(500, Outcome.DENIED, Layer.DATABASE, Phase.AUTHZ, ORDERS, None, (FindingKind.STATUS_REWRITTEN,))
NO_GRANT = ROW_OF_ANOTHER


def policy_denies(reason: str) -> Expected:
    return Expected(403, Outcome.DENIED, Layer.POLICY_ENGINE, Phase.AUTHZ, POLICY, reason)


REFUND_BY_CUSTOMER = policy_denies("subject does not have role support")
ORDER_TOO_LARGE = policy_denies("an order above 1000.00 needs role wholesale")

# Policy is down and orders is set to go on: no layer refused, the check broke.
FAILED_OPEN = Expected(200, Outcome.ALLOWED, findings=(FindingKind.FAIL_OPEN,))
# Policy denies, orders writes it down and goes on: the refund is made all the same.
IGNORED_DENIAL = Expected(
    200, Outcome.BYPASSED, Layer.POLICY_ENGINE, Phase.AUTHZ, POLICY, "subject does not have role support",
    (FindingKind.SIDE_EFFECT_AFTER_DENIAL,),
)  # fmt: skip

# Identity hangs: its caller's span is the deepest that shows the failure.
IDENTITY_SILENT = Expected(401, Outcome.ERROR, Layer.IDENTITY_PROVIDER, Phase.AUTHN, GATEWAY, None, (FindingKind.FAIL_CLOSED,))
LOGIN_UNAVAILABLE = Expected(503, Outcome.ERROR, Layer.IDENTITY_PROVIDER, Phase.AUTHN, GATEWAY)

# Billing answers in a trace of its own; the request's trace ends at the call to it.
DETACHED_REFUSAL = Expected(403, Outcome.DENIED, Layer.APPLICATION, Phase.AUTHZ, ORDERS, None, (FindingKind.MISSING_HOP,))
DETACHED_ANSWER = Expected(200, Outcome.ALLOWED, findings=(FindingKind.MISSING_HOP,))
# Nothing in the loose trace by itself shows that it should have had a parent.
LONE_REFUSAL = NOT_MY_INVOICE
LONE_ANSWER = ALLOWED
