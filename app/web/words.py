"""The words for what a verdict holds. One meaning each, in every page; docs/method.md explains them.

Chips have their words in templates/ui.html; these are the ones that stand inside sentences and heads.
"""

from __future__ import annotations

from http import HTTPStatus

from app.analysis.verdict import Confidence, Decision, EffectKind, FindingKind, Layer, Outcome, Phase
from app.traces.semconv import GRPC_NAMES

LAYER: dict[Layer, str] = {
    Layer.EDGE_WAF: "Edge or WAF",
    Layer.RATE_LIMITER: "Rate limiter",
    Layer.API_GATEWAY: "API gateway",
    Layer.SERVICE_MESH: "Service mesh",
    Layer.IDENTITY_PROVIDER: "Identity provider",
    Layer.APPLICATION: "Application",
    Layer.POLICY_ENGINE: "Policy engine",
    Layer.DATABASE: "Database",
    Layer.MESSAGE_BROKER: "Message broker",
    Layer.EXTERNAL_SERVICE: "External service",
}

OUTCOME: dict[Outcome, str] = {
    Outcome.ALLOWED: "Allowed",
    Outcome.DENIED: "Denied",
    Outcome.PARTIALLY_DENIED: "Partly denied",
    Outcome.BYPASSED: "Bypassed",
    Outcome.ERROR: "Error",
    Outcome.INCONCLUSIVE: "Inconclusive",
    Outcome.NO_AUTH_EVIDENCE: "No auth evidence",
}

PHASE: dict[Phase, str] = {Phase.AUTHN: "authentication", Phase.AUTHZ: "authorization"}

CONFIDENCE: dict[Confidence, str] = {
    Confidence.HIGH: "High confidence",
    Confidence.MEDIUM: "Medium confidence",
    Confidence.LOW: "Low confidence",
}

# The worst first: which of several decisions a lane, a hop or a fold shows.
DECISION_ORDER: tuple[Decision, ...] = (
    Decision.DENY,
    Decision.ERROR,
    Decision.UNKNOWN,
    Decision.ALLOW,
    Decision.NO_EVIDENCE,
    Decision.NOT_REACHED,
)

# Finding: what it says in a few words, and how loudly.
FINDING: dict[FindingKind, tuple[str, str]] = {
    FindingKind.SIDE_EFFECT_AFTER_DENIAL: ("Acted after the refusal", "warning"),
    FindingKind.SIDE_EFFECT_BEFORE_DENIAL: ("Wrote before it asked", "warning"),
    FindingKind.FAIL_OPEN: ("Failed open", "critical"),
    FindingKind.FAIL_CLOSED: ("Failed closed", "info"),
    FindingKind.MASKED_DENIAL: ("The refusal was masked", "info"),
    FindingKind.STATUS_REWRITTEN: ("The status was rewritten", "info"),
    FindingKind.RETRIED: ("Retried and then allowed", "info"),
    FindingKind.MISSING_HOP: ("A hop is missing", "warning"),
    FindingKind.UNINSTRUMENTED_PEER: ("A hop cannot be seen", "info"),
    FindingKind.BROKEN_PROPAGATION: ("The trace context was lost", "warning"),
    FindingKind.ORPHAN_SPANS: ("Parents are missing", "warning"),
    FindingKind.PARENT_CYCLE: ("Spans stand in a circle", "warning"),
    FindingKind.MULTIPLE_ROOTS: ("More than one root", "info"),
    FindingKind.CLOCK_SKEW: ("Clocks differ", "info"),
    FindingKind.DUPLICATE_SPANS: ("Delivered more than once", "info"),
    FindingKind.TRUNCATED_TRACE: ("The trace is not whole", "warning"),
    FindingKind.SECRET_IN_ATTRIBUTES: ("A secret is in the trace", "critical"),
    FindingKind.PII_IN_ATTRIBUTES: ("Personal data is in the trace", "info"),
    FindingKind.SLOW_AUTH: ("Slow authentication", "warning"),
    FindingKind.RELAYED_BY: ("Passed on", "info"),
    FindingKind.BROKEN_TIMESTAMPS: ("Times cannot be right", "warning"),
}
SEVERITIES: tuple[str, ...] = ("critical", "warning", "info")

# What a side effect did, in the past tense of its kind.
EFFECT: dict[EffectKind, str] = {
    EffectKind.DB_WRITE: "Wrote",
    EffectKind.MESSAGE: "Sent",
    EffectKind.HTTP_WRITE: "Called",
    EffectKind.OBJECT_WRITE: "Stored",
    EffectKind.CACHE_WRITE: "Cached",
    EffectKind.MAIL: "Mailed",
    EffectKind.AUDIT: "Audit record",
}


def layer(value: Layer | None) -> str:
    """`Policy engine`; "" for none."""
    return LAYER[value] if value is not None else ""


def the_layer(value: Layer) -> str:
    """`the policy engine`, `the API gateway`: inside a sentence."""
    word = LAYER[value]
    return f"the {word}" if word.startswith("API") else f"the {word[0].lower()}{word[1:]}"


def status(code: int | None) -> str:
    """`403 Forbidden`; a gRPC status by its own name: `gRPC 7, PERMISSION_DENIED`."""
    if code is None:
        return "not known"
    if 0 <= code < len(GRPC_NAMES):
        return f"gRPC {code}, {GRPC_NAMES[code]}"
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def worst(decisions: list[Decision]) -> Decision | None:
    """The one of several decisions that must not go unseen."""
    return min(decisions, key=DECISION_ORDER.index, default=None)
