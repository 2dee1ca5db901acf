"""Who is named: the layer, the phase, the reason and the target of what decided or broke.

Source: docs/method.md, "Who is named".
"""

from __future__ import annotations

import msgspec
import re2

from app.analysis import answers, peers, reasons, statements, wording
from app.analysis.accounts import Account, State, Way
from app.analysis.answers import Answer
from app.analysis.joins import same_service
from app.analysis.judge import Judgement
from app.analysis.peers import NameRole, Peer
from app.analysis.reading import Reading
from app.analysis.roles import Role, Roles
from app.analysis.rulebook import Hit, RuleBook
from app.analysis.signals import Signal
from app.analysis.steps import is_by_place, is_limiter_name
from app.analysis.verdict import Layer, Outcome, Phase
from app.traces import semconv
from app.traces.model import Node, SpanKind

_BY_PEER = {Peer.POLICY: Layer.POLICY_ENGINE, Peer.IDENTITY: Layer.IDENTITY_PROVIDER, Peer.KEYS: Layer.IDENTITY_PROVIDER,
            Peer.LIMITER: Layer.RATE_LIMITER, Peer.DATABASE: Layer.DATABASE, Peer.BROKER: Layer.MESSAGE_BROKER,
            Peer.CLOUD: Layer.EXTERNAL_SERVICE}  # fmt: skip
_BY_LAYER = {Layer.POLICY_ENGINE: Phase.AUTHZ, Layer.IDENTITY_PROVIDER: Phase.AUTHN, Layer.RATE_LIMITER: Phase.AUTHZ,
             Layer.EDGE_WAF: Phase.AUTHZ, Layer.SERVICE_MESH: Phase.AUTHZ}  # fmt: skip


class Named(msgspec.Struct, frozen=True):
    """What is said of the span that decided or broke. `attribute` and `value` are what a person can look up."""

    layer: Layer
    phase: Phase | None
    service: str
    span_id: str
    rule: str
    reason: str
    reason_attribute: str
    target: str
    attribute: str
    value: str
    evidence: str


def name(judgement: Judgement, rules: RuleBook) -> Named | None:
    """The naming of the judgement's origin; None where it has none that may be named."""
    origin, node = judgement.origin, judgement.node
    if origin is None or node is None or not judgement.names_one:
        return None
    reading, roles = judgement.reading, judgement.roles
    signal = origin.spoke
    status = None if signal is not None else _status_rule(reading, rules, node)
    layer = _layer(judgement, origin, signal, status)
    reason, attribute = _reason(judgement, origin, node, signal)
    phase = _phase(judgement, origin, node, signal, layer, reason, status)
    key, value = statements.ground(reading, origin.node, signal)
    rule = signal.rule.id if signal is not None else status.rule.id if status is not None else ""
    return Named(
        layer=layer,
        phase=phase,
        service=node.service,
        span_id=node.span.span_id,
        rule=rule,
        reason=_of_guard(reason) if attribute in statements.GUARD_NAMES else reason,
        reason_attribute="" if attribute in statements.GUARD_NAMES else attribute,
        target=target(reading, roles, origin.node),
        attribute=key,
        value=value,
        evidence=_evidence(origin, signal),
    )


def _of_guard(name: str) -> str:
    """What a guard's name tells of its refusal: that it was this one, and no more."""
    who = "a middleware without a name" if name in ("<anonymous>", "anonymous", "") else name
    return f"{who} refused; it records no reason"


def _evidence(origin: Account, signal: Signal | None) -> str:
    if signal is not None:
        return "protocol" if signal.decision == "unknown" else signal.evidence
    return "structure" if origin.check else "protocol"


# -------------------------------------------------------------------------------------------------------------- layer


def signal_layer(roles: Roles, signal: Signal) -> Layer:
    """The layer that a signal's rule, plug-in and service give it."""
    condition = signal.hit.condition
    if condition.layer is not None:
        return condition.layer
    rule = signal.rule
    for ending, layer in rule.layer_overrides.items():
        if signal.node.span.name.endswith(ending):
            return layer
    if rule.layer_by == "service_role":
        return roles.layer_of(signal.node)
    return rule.layer


def _layer(judgement: Judgement, origin: Account, signal: Signal | None, status: Hit | None) -> Layer:
    roles, node = judgement.roles, origin.node
    if signal is not None:
        layer = signal_layer(roles, signal)
        if is_by_place(origin) and judgement.reading.answer(judgement.reading.hop_of(node)) is Answer.THROTTLED:
            return Layer.RATE_LIMITER
        if signal.rule.layer_by == "service_role" and node.span.kind is SpanKind.CLIENT:
            asked = peers.of_call(node.span)  # what the asker wrote down is the answer of the one it asked
            return _BY_PEER.get(asked, Layer.POLICY_ENGINE if origin.decider is not None else layer)
        if origin.decider is not None and signal.rule.layer_by == "service_role":
            layer = roles.layer_of(origin.decider)
        if layer is Layer.APPLICATION and (judgement.asked or origin.decider is not None or origin.asks_engine):
            # Asked about a third party's action, it answered and did nothing else: that is what an engine does.
            return Layer.IDENTITY_PROVIDER if statements.phase(signal) is Phase.AUTHN else Layer.POLICY_ENGINE
        return layer
    if origin.state is State.BROKEN:
        return _broken_layer(judgement, origin)
    if origin.answer is Answer.THROTTLED:
        return Layer.RATE_LIMITER
    if origin.way is Way.GUARD or (origin.check and node.span.kind is SpanKind.INTERNAL):
        name = node.span.name.lower()
        if is_limiter_name(name):
            return Layer.RATE_LIMITER
        if any(word in name for word in ("firewall", "waf", "ip filter", "blocklist", "denylist")):
            return Layer.EDGE_WAF
        return roles.layer_of(node)
    if node.span.kind is SpanKind.CLIENT:
        return peer_layer(judgement.reading, roles, node)
    if status is not None and status.rule.layer_by == "":
        return status.rule.layer
    role = roles.of(node).role
    if judgement.asked and role is Role.SERVICE:
        return Layer.IDENTITY_PROVIDER if statements.phase_of(None, node, "") is Phase.AUTHN else Layer.POLICY_ENGINE
    return roles.layer_of(node)


def peer_layer(reading: Reading, roles: Roles, node: Node) -> Layer:
    """The layer of a callee that sends no span for this call, by what it is."""
    span = node.span
    called = peers.of_call(span)
    if called in _BY_PEER:
        return _BY_PEER[called]
    peer = semconv.peer(span)
    role = peers.name_role(peer)
    if role is NameRole.WAF:
        return Layer.EDGE_WAF
    if role is NameRole.GATEWAY:
        return Layer.API_GATEWAY
    if sends_spans(reading, peer):
        seen = next((n for n in reading.trace.nodes if same_service(peer, n.service)), None)
        return roles.layer_of(seen) if seen is not None else Layer.APPLICATION
    if span.attributes.get("component") == "proxy":
        return roles.layer_of(node)
    return Layer.EXTERNAL_SERVICE


def sends_spans(reading: Reading, peer: str) -> bool:
    """Whether a peer is known to send spans: in this trace, or by configuration."""
    if not peer:
        return False
    known = reading.memo.get(("known", peer))
    if known is None:
        known = reading.memo["known", peer] = any(same_service(peer, service) for service in _services(reading))
    return bool(known)


def _services(reading: Reading) -> frozenset[str]:
    found: frozenset[str] | None = reading.memo.get(("services",))
    if found is None:
        found = frozenset(hop.service for hop in reading.hops) | reading.context.known_services
        reading.memo["services",] = found
    return found


def _broken_layer(judgement: Judgement, origin: Account) -> Layer:
    node = _call_around(judgement.reading, origin.node)
    if node.span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER):
        return peer_layer(judgement.reading, judgement.roles, node)
    if semconv.db_system(node.span) or any(
        _LOST_STORE.search(f"{k[:256]} {m[:1024]}") for k, m in semconv.exceptions(node.span)
    ):
        return Layer.DATABASE
    return judgement.roles.layer_of(node)


# Exceptions of drivers and pools that had no connection to give; the driver itself may have no span.
_LOST_STORE = re2.compile(
    r"(?i)CannotCreateTransaction|CannotGetJdbcConnection|JDBC Connection|SQL(Non)?TransientConnection|HikariPool|"
    r"(PSQL|SQLServer|SQLRecoverable|SQLNonTransient|MySQL\w*|MariaDB|Communications)\w*Exception\W.{0,40}(connection|link|network)|"
    r"(psycopg|asyncpg|pgconn|pymysql|mysql|mongo|redis|sqlalchemy|oracledb)\w*[.:].*(OperationalError|Connect|Selection|Timeout)|"
    r"(could not|cannot|can't|failed to) (connect|open (a )?connection) to (the )?\S*\s?"
    r"(database|server at|mysql|postgres|redis|mongo)"
)


def _call_around(reading: Reading, node: Node) -> Node:
    """The call that an inner span is a part of, its socket for one; the span itself where it is part of none."""
    here: Node | None = node
    for _ in range(16):
        if here is None or here.span.kind is not SpanKind.INTERNAL:
            break
        above = reading.parent(here)
        if above is not None and above.service != node.service:
            break
        here = above
    return here if here is not None and here.span.kind is SpanKind.CLIENT else node


# --------------------------------------------------------------------------------------------------- phase and reason


def _phase(judgement: Judgement, origin: Account, node: Node, signal: Signal | None, layer: Layer, reason: str,
           status: Hit | None) -> Phase | None:  # fmt: skip
    if judgement.outcome is Outcome.ERROR:
        if signal is not None and signal.says != "store":
            return statements.phase(signal)
        if layer in _BY_LAYER:
            return _BY_LAYER[layer]
        for account in reversed(judgement.chain):
            if account.signal is not None and account.check:
                return statements.phase(account.signal)
        return None
    if origin.answer is Answer.THROTTLED and signal is None:
        return Phase.AUTHZ
    if layer is Layer.RATE_LIMITER:
        return Phase.AUTHZ
    if signal is None and status is not None and not reason:
        return status.phase
    if signal is not None and signal.decision == "unknown":
        return signal.phase  # an introspection is about identity, a policy about permission
    phase = statements.phase_of(signal, node, reason)
    if signal is None and origin.way is Way.GUARD:
        lowered = node.span.name.lower()
        if any(word in lowered for word in ("jwt", "authenticat", "login", "token", "session", "apikey", "api_key", "api-key")):
            return Phase.AUTHN
    if signal is None and origin.check and node.span.kind is SpanKind.INTERNAL:
        known = reasons.of(reason)
        if known is None or known.phase is None:  # its words leave it to the status that its hop answered
            return Phase.AUTHN if answers.asks_who(judgement.reading.hop_of(node).span) else phase
    return phase


def _reason(judgement: Judgement, origin: Account, node: Node, signal: Signal | None) -> tuple[str, str]:
    reading = judgement.reading
    text, attribute = statements.reason_at(reading, origin.node, signal)
    if not text and origin.decider is not None:
        text, attribute = statements.reason_at(reading, origin.decider, None)
    if not text and node.span.kind is SpanKind.SERVER:
        text, attribute = statements.caller_words(reading, node)
    if not text:
        # A check that wraps the decision often has the words.
        for account in reversed(judgement.chain[:-1]):
            if account.signal is not None and account.check:
                text, attribute = statements.reason_at(reading, account.node, account.signal)
                if text:
                    break
            if account.is_hop:
                break
    if text:
        return _in_words(origin, text, attribute), attribute
    return _plain_reason(judgement, origin, signal), ""


_TOO_LATE = re2.compile(r"(?i)time.?out|timed.?out|deadline")
_NO_WAY = re2.compile(r"(?i)connect|refused|unreach|resolve|\bdns|econn|unavailable")


def _in_words(origin: Account, text: str, attribute: str) -> str:
    """The name of an exception's class in plain words; other reasons stay as they are."""
    if origin.state is not State.BROKEN or attribute != semconv.EXCEPTION_TYPE:
        return text
    if _TOO_LATE.search(text):
        return f"did not answer in time ({text})"
    return f"could not be reached ({text})" if _NO_WAY.search(text) else text


def _plain_reason(judgement: Judgement, origin: Account, signal: Signal | None) -> str:
    span = origin.node.span
    if judgement.outcome is Outcome.ERROR:
        kind = semconv.text(span.attributes.get("error.type"))
        status = semconv.http_status(span)
        return kind or (f"answered {status}" if status else "failed without saying why")
    if signal is not None and signal.says == "guard":
        return f"{span.name.rpartition('.')[2] or span.name} refused; it records no reason"
    if signal is not None and signal.decision == "unknown":
        return f"{signal.rule.system.split(',')[0]} was asked and the request was refused at once; its answer is not recorded"
    if origin.answer is Answer.THROTTLED:
        return "too many requests"
    if origin.answer is Answer.LOGIN:
        return "sent to the log-in page"
    status = semconv.http_status(span)
    if status is not None and status >= 400:
        return f"answered {status}; it records no reason"
    code = semconv.grpc_status(span)
    if code:
        return f"answered {semconv.GRPC_NAMES[code]}; it records no reason"
    return "refused; it records no reason"


def _status_rule(reading: Reading, rules: RuleBook, node: Node) -> Hit | None:
    """The most telling rule about a status the span answered: a product's before a protocol's."""
    hits = [h for h in rules.status_hits(reading, node) if h.decision in ("deny", "error")]
    return hits[0] if hits else None


# -------------------------------------------------------------------------------------------------------------- target


def target(reading: Reading, roles: Roles, node: Node) -> str:
    """The decider's own name where it sends no spans of its own; "" where the span's service decided itself."""
    node = _call_around(reading, node)
    span = node.span
    if semconv.rpc_system(span) != "aws-api" and (semconv.db_system(span) or semconv.messaging_system(span)):
        return wording.store(node)
    if semconv.rpc_system(span) == "aws-api":
        return semconv.rpc_service(span) or span.name.partition(".")[0]
    if span.kind is SpanKind.CLIENT and not any(k.span.kind is SpanKind.SERVER for k in reading.kids(node)):
        return semconv.peer(span)
    return ""
