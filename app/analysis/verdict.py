"""The verdict: what `clew explain` prints, what the API returns, what the trace page shows.

The words and their meaning are fixed in docs/method.md; this file is their interface. `Verdict` encodes to JSON with
msgspec: the field names here are the contract.
"""

from __future__ import annotations

import enum

import msgspec


class Outcome(enum.StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    PARTIALLY_DENIED = "partially_denied"
    BYPASSED = "bypassed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    NO_AUTH_EVIDENCE = "no_auth_evidence"


class Layer(enum.StrEnum):
    """In the order in which a request usually meets them."""

    EDGE_WAF = "edge_waf"
    RATE_LIMITER = "rate_limiter"
    API_GATEWAY = "api_gateway"
    SERVICE_MESH = "service_mesh"
    IDENTITY_PROVIDER = "identity_provider"
    APPLICATION = "application"
    POLICY_ENGINE = "policy_engine"
    DATABASE = "database"
    MESSAGE_BROKER = "message_broker"
    EXTERNAL_SERVICE = "external_service"


class Phase(enum.StrEnum):
    AUTHN = "authn"
    AUTHZ = "authz"


class Decision(enum.StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"
    UNKNOWN = "unknown"
    NOT_REACHED = "not_reached"
    NO_EVIDENCE = "no_evidence"


class Confidence(enum.StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class EffectKind(enum.StrEnum):
    DB_WRITE = "db_write"
    MESSAGE = "message"
    HTTP_WRITE = "http_write"
    OBJECT_WRITE = "object_write"
    CACHE_WRITE = "cache_write"
    MAIL = "mail"
    AUDIT = "audit"


class EffectTime(enum.StrEnum):
    BEFORE_DENIAL = "before_denial"
    AFTER_DENIAL = "after_denial"
    NO_DENIAL = "no_denial"


class FindingKind(enum.StrEnum):
    SIDE_EFFECT_AFTER_DENIAL = "side_effect_after_denial"
    SIDE_EFFECT_BEFORE_DENIAL = "side_effect_before_denial"
    FAIL_OPEN = "fail_open"
    FAIL_CLOSED = "fail_closed"
    MASKED_DENIAL = "masked_denial"
    STATUS_REWRITTEN = "status_rewritten"
    RETRIED = "retried"
    MISSING_HOP = "missing_hop"
    UNINSTRUMENTED_PEER = "uninstrumented_peer"
    BROKEN_PROPAGATION = "broken_propagation"
    ORPHAN_SPANS = "orphan_spans"
    PARENT_CYCLE = "parent_cycle"
    MULTIPLE_ROOTS = "multiple_roots"
    CLOCK_SKEW = "clock_skew"
    DUPLICATE_SPANS = "duplicate_spans"
    TRUNCATED_TRACE = "truncated_trace"
    SECRET_IN_ATTRIBUTES = "secret_in_attributes"  # noqa: S105 - the name of a finding
    PII_IN_ATTRIBUTES = "pii_in_attributes"
    SLOW_AUTH = "slow_auth"
    RELAYED_BY = "relayed_by"
    BROKEN_TIMESTAMPS = "broken_timestamps"


class Place(msgspec.Struct, frozen=True):
    """A span by service and id; `status` is the answer it gave (HTTP, or gRPC where there is no HTTP), if it says."""

    service: str
    span_id: str
    status: int | None = None


class LayerDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One layer the request met (or would have met): what it decided.

    target: the decider's own name where it sends no spans (`server.address`, `peer.service`, `db.namespace`).
    rule:   the signal rule that recognised it, "" where structure alone did.
    """

    layer: Layer
    service: str
    decision: Decision
    span_id: str = ""
    reason: str = ""
    target: str = ""
    phase: Phase | None = None
    rule: str = ""


class Hop(msgspec.Struct, frozen=True):
    """One service's part of the request. Times in Unix nanoseconds, skew-corrected.

    relay: it only passed on a refusal that another hop took.
    """

    service: str
    span_id: str
    parent_service: str | None
    start_ns: int
    duration_ns: int
    status: int | None
    relay: bool


class SideEffect(msgspec.Struct, frozen=True):
    service: str
    span_id: str
    kind: EffectKind
    target: str
    when: EffectTime
    start_ns: int = 0


class Finding(msgspec.Struct, frozen=True):
    """Something else worth an investigator's eye. `detail` is a sentence; secrets in it are located, never shown."""

    kind: FindingKind
    service: str
    span_id: str
    detail: str


class Ground(msgspec.Struct, frozen=True):
    """One step of the argument: a fact, the span and attribute it stands on, the rule that read it.

    role: `origin` (the decision itself), `enforcement`, `relay`, `conflict`, `ruled_out`, `gap` or `context`.
    """

    sentence: str
    role: str = "context"
    span_id: str = ""
    attribute: str = ""
    value: str = ""
    rule: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What Clew concludes from one trace. See docs/method.md for every word.

    `because` holds the sentences of `grounds` in order; `settles` says what would change or settle this verdict.
    `reason_code` is the normalised reason (`token_expired`, `role_missing`, ...), `reason` the system's own words, and
    `meaning` the same for everybody, as the end of a sentence.
    """

    trace_id: str
    outcome: Outcome
    layer: Layer | None
    phase: Phase | None
    service: str | None
    span_id: str | None
    rule: str | None
    reason: str | None
    enforced_by: Place | None
    entry: Place | None
    confidence: Confidence
    because: tuple[str, ...]
    principal: str | None
    client_address: str | None
    layers: tuple[LayerDecision, ...]
    path: tuple[Hop, ...]
    side_effects: tuple[SideEffect, ...]
    findings: tuple[Finding, ...]
    sentence: str = ""
    reason_code: str | None = None
    meaning: str = ""
    grounds: tuple[Ground, ...] = ()
    settles: tuple[str, ...] = ()
