"""What a step is: a check, a piece of the request's own work, a call that may have refused, a named guard."""

from __future__ import annotations

import re2

from app.analysis import effects, peers, reasons, statements
from app.analysis.accounts import Account, State
from app.analysis.answers import Answer
from app.analysis.effects import Change
from app.analysis.peers import Peer
from app.analysis.verdict import EffectKind
from app.traces import semconv
from app.traces.model import Node, SpanKind

_REPEATS = ("http send", "http receive", "websocket send", "websocket receive")


def repeats(node: Node) -> bool:
    """A framework's inner span that only repeats the status of its request."""
    span = node.span
    if span.kind != SpanKind.INTERNAL:
        return False
    if span.name.endswith(_REPEATS) and ("asgi" in span.scope.name or "asgi.event.type" in span.attributes):
        return True
    return span.name == "request" and span.scope.name == "@fastify/otel"


def is_bad(step: Account) -> bool:
    return step.state in (State.DENY, State.BROKEN, State.SILENT) or step.said_no is not None


def explains_refusal(step: Account) -> bool:
    return step.state is State.DENY or step.said_no is not None


def is_guarding(step: Account) -> bool:
    """Whether the step is a check whose failure may have closed the door."""
    if step.check:
        return True
    if not step.is_call:
        return step.signal is not None and step.signal.says in ("fetch", "peer")
    if step.signal is not None and step.signal.says in ("fetch", "peer"):
        return True
    return step.called in (Peer.POLICY, Peer.IDENTITY, Peer.KEYS, Peer.LIMITER)


def is_check(step: Account) -> bool:
    """Whether a refusal was the answer to a question about permission, rather than of a resource that was asked for."""
    if step.check:
        return True
    if step.signal is not None and step.signal.says == "peer":
        return step.signal.rule.layer in ("policy_engine", "identity_provider")
    if step.is_call:
        if step.called is Peer.POLICY or (step.called is Peer.IDENTITY and peers.asks_identity(step.node.span)):
            return True
        if step.said_no is not None:
            return True
    return False


def is_by_place(step: Account) -> bool:
    """Whether the step is a guard of which nothing is known but that it stands last before a refusal."""
    return step.signal is not None and step.signal.says == "guard" and step.signal.evidence == "structure"


def throttles(step: Account) -> bool:
    origin = step.chain()[-1]
    if origin.answer is Answer.THROTTLED or step.answer is Answer.THROTTLED:
        return True
    return origin.signal is not None and (origin.signal.hit.condition.layer or origin.signal.rule.layer) == "rate_limiter"


def is_business(step: Account) -> bool:
    """Whether the step did some of the request's own work, and it succeeded."""
    if step.state in (State.DENY, State.BROKEN, State.SILENT, State.MUTE) or step.said_no is not None or step.check:
        return False
    if step.change is not None:
        return step.change.kind is not EffectKind.AUDIT and not step.change.bookkeeping
    if step.is_store_call:
        return semconv.db_operation(step.node.span) not in effects.words().sql_control
    if step.kind == SpanKind.PRODUCER:
        return False
    if step.is_call:
        return step.called in (Peer.SERVICE, Peer.CLOUD) and step.answer is not Answer.FAILED
    if step.kind == SpanKind.SERVER:
        return step.answer in (Answer.OK, Answer.REDIRECT, Answer.NONE)
    return False


def writes(step: Account) -> list[Account]:
    """The changes that matter in a step: its own, and those of the hops below it."""
    found = []
    change = step.change
    if change is not None and change.kind is not EffectKind.AUDIT and not change.bookkeeping and not _is_outbox(change):
        found.append(step)
    for node in step.reading.subtree(step.node):
        if node is not step.node:
            below = effects.change(node.span)
            if below is not None and below.kind is not EffectKind.AUDIT and not below.bookkeeping:
                found.append(Account(step.reading, node))
                break
    return found


def _is_outbox(change: Change) -> bool:
    return effects.words().outbox.search(change.target) is not None


_IGNORED = frozenset({Peer.KEYS, Peer.CONFIGURATION, Peer.SIDE, Peer.BROKER, Peer.LIMITER})


def may_refuse(step: Account) -> bool:
    """Whether a call may have refused in a way that the trace does not show."""
    if step.state in (State.ALLOW, State.BROKEN):
        return False
    if step.kind == SpanKind.SERVER:
        return not said_yes(step)
    if not step.is_call or step.is_store_call:
        return False
    if step.called in _IGNORED or step.called is Peer.CLOUD:
        return False
    if step.kind == SpanKind.PRODUCER:
        return False
    if not (peers.is_call_between_services(step.node.span) or step.state is State.MUTE or step.inner):
        return False
    return not said_yes(step)


def said_yes(step: Account) -> bool:
    """Whether a check inside the callee says that it allowed."""
    reading = step.reading
    return reading.below(step.node, "allows", reading.allows)


_GUARD_WORDS = ("auth", "guard", "acl", "jwt", "permission", "authorize", "rbac", "limiter", "ratelimit", "rate limit",
                "rate_limit", "throttl", "csrf", "session check", "access check", "access_check", "check access",
                "check_access", "checkaccess", "apikey", "api_key",
                "api-key", "policy", "whitelist", "allowlist", "denylist", "blocklist", "ip filter", "token check",
                "verify", "validate token", "require", "ensure", "firewall")  # fmt: skip


def is_guard_name(name: str) -> bool:
    """Whether a span's name says that it guards, limits or checks."""
    lowered = name[:128].lower()
    return any(word in lowered for word in _GUARD_WORDS)


def is_limiter_name(name: str) -> bool:
    """Whether a span's name says that it counts requests."""
    return any(word in name[:128].lower() for word in ("limit", "throttl", "quota"))


# Classes of exceptions that tell of a mistake or of a failure, and not of a decision.
_FAULTS = re2.compile(
    r"(?i)null(pointer|reference)|index|cast|illegal|invalidoperation|notimplemented|overflow|outofmemory|timeout|timed|connect|"
    r"unavailable|unreachable|interrupted|cancel|sql|jdbc|database|redis|mongo|io(error|exception)|oserror|filenotfound|parse|"
    r"serializ|json|http|socket|dns|tls|ssl|circuit|bulkhead|callnotpermitted|^(.*[.:])?(type|key|value|attribute|reference|"
    r"syntax|runtime|range|assertion|name|import|lookup|zerodivision)?(error|exception)$|panic|econn|enotfound|eai_"
)


def refuses_in_error(step: Account) -> bool:
    """Whether an inner span in error, before a refusal of its hop, was a check that said no rather than one that broke.

    It was where no call failed below it and nothing tells of a failure, and its name or its words are those of a check; or
    where it was marked by hand, without an exception.
    """
    if step.kind != SpanKind.INTERNAL or step.cause is not None or step.signal is not None:
        return False
    span = step.node.span
    kinds = [kind for kind, _ in semconv.exceptions(span) if kind]
    known = reasons.of(statements.reason_text(step.reading, step.node, None))
    if (known is not None and known.code == "dependency_error") or any(_FAULTS.search(kind[:256]) for kind in kinds):
        return False
    if is_guard_name(span.name) or (known is not None and known.phase is not None):
        return True
    return bool(span.status_message) and not kinds


def last_guard(account: Account) -> Account | None:
    """A named guard, limiter or middleware span that is the last of its hop before the refusal."""
    reading = account.reading
    last: Node | None = None
    stack = [account.node]
    while stack:
        node = stack.pop()
        for kid in reading.kids(node):
            if reading.starts_hop(kid) or repeats(kid) or kid.start_ns > account.end:
                continue
            if last is None or (kid.start_ns, kid.index) > (last.start_ns, last.index):
                last = kid
            stack.append(kid)
    while last is not None and last is not account.node:
        if last.span.kind == SpanKind.INTERNAL and is_guard_name(last.span.name):
            if reading.allows(last) or any(may_refuse(s) for s in account.inner if s.start >= last.start_ns):
                return None
            found = Account(reading, last)
            found.state = State.DENY
            found.check = True
            return found
        if last.span.kind != SpanKind.INTERNAL and not semconv.db_system(last.span):
            return None
        last = reading.parent(last)
    return None
