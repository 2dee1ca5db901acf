"""Conclusions: the state and the cause of one account, from its own span and from the accounts below it."""

from __future__ import annotations

from itertools import islice

import re2

from app.analysis import peers, reasons, statements
from app.analysis.accounts import Account, Item, State, Tolerated, Way, because, by_end, gathered, live
from app.analysis.answers import GOOD, REFUSALS, Answer
from app.analysis.attempts import choose, settle_retries, weight
from app.analysis.peers import Peer
from app.analysis.requests import of_request
from app.analysis.roles import is_proxy
from app.analysis.signals import Signal
from app.analysis.steps import explains_refusal, is_business, said_yes, writes
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status

_LOOKED_AT = 50  # spans or failures below a call; what it led to stands near it


def conclude(account: Account) -> None:
    """Give an account its state and its cause; those below it have theirs."""
    settle_retries(account)
    signal = account.signal
    decision = signal.decision if signal is not None else ""
    # What a request's own span says of a check is one more fact about the request; any other span is its check.
    is_request = account.kind == SpanKind.SERVER or account.kind == SpanKind.CONSUMER
    good = account.answer in GOOD
    if signal is not None and decision == "deny" and not (is_request and good and _went_on_itself(account)):
        _denied_by_signal(account, signal)
    elif decision == "error" and not (is_request and good):
        _broken_by_signal(account)
    elif decision == "unknown" and account.answer not in (Answer.FAILED, *REFUSALS):
        _mute(account)
    elif account.kind == SpanKind.CLIENT or account.kind == SpanKind.PRODUCER:
        of_call(account)
    elif decision == "allow" and not is_request:
        wrapped = _wrapped(account)
        account.state = State.ALLOW  # it vouches for what it did inside
        if wrapped is not None:
            account.state = wrapped.state
            because(account, wrapped)
            account.items = wrapped.items
    else:
        of_request(account)
    if decision == "allow" and account.state is State.FINE and account.said_no is None:
        account.state = State.ALLOW
    elif decision == "error" and is_request and good:
        if any(is_business(step) for step in account.inner):
            account.items.append(Item(Tolerated.FAIL_OPEN, account, account, account.inner))
        else:
            account.state = State.BROKEN  # an engine that answered well and could not decide


def _wrapped(account: Account) -> Account | None:
    """What went wrong after a check had passed whose span lasts until the request's end: a middleware around the next."""
    reading, node = account.reading, account.node
    server, above = reading.server_of(node), reading.parent(node)
    if server is None or above is None or reading.answer(server) in GOOD:
        return None
    if any(kid.start_ns >= node.end_ns and kid is not node for kid in reading.kids(above)[-8:]):
        return None
    steps = [step for step in live(account) if step.resolved_by is None]
    last = steps[-1] if steps else None
    if last is None or last.state not in (State.DENY, State.BROKEN, State.SILENT):
        return None
    stored = last.is_store_call and (last.change is not None or last.state is State.DENY)
    own = last.is_call and last.called in (Peer.SERVICE, Peer.CLOUD)
    return last if stored or own else None


def _went_on_itself(account: Account) -> bool:
    """Whether a request's own span says that it was refused, and the request made its changes all the same."""
    signal, span = account.signal, account.node.span
    if signal is None or not signal.rule.id.startswith("generic.hand-written"):
        return False
    asked = peers.of_target(semconv.path(span), peers.rpc_name(span) or span.name)
    if asked in (Peer.POLICY, Peer.IDENTITY) or peers.name_role(account.node.service) is not None:
        return False  # an engine keeps its own records
    written = [step for step in account.inner if writes(step)]
    if written:
        account.items.append(Item(Tolerated.BYPASSED, account, account, written))
    return bool(written)


def _denied_by_signal(account: Account, signal: Signal) -> None:
    account.state = State.DENY
    steps = [s for s in live(account) if s.resolved_by is None]
    if signal.says in ("store", "peer") and account.kind is not SpanKind.SERVER and not any(s.is_hop for s in steps):
        # The SDK's own word on its call; an HTTP call below only repeats it, the same store's own span is nearer to it.
        inner = [s for s in steps if s.state is State.DENY and s.spoke is not None and s.spoke.is_store]
        nearer = [s for s in inner if account.kind is SpanKind.INTERNAL or weight(s) >= weight(account)]
        if nearer:
            because(account, max(nearer, key=by_end))
        return
    deeper = [s for s in steps if explains_refusal(s)]
    if deeper:
        chosen = choose(deeper, [])
        assert chosen is not None
        because(account, chosen)
        return
    asked = [s for s in steps if s.state is State.MUTE]
    questions = [s for s in steps if s.is_call or s.check or s.state is State.MUTE]
    if asked and asked[-1] is questions[-1] and not (_is_introspection(asked[-1]) and not _tells_of_a_token(account)):
        # The engine's result stands on the asker's span: the decider is the engine, by its own span where it has one.
        account.decider = _server_of(asked[-1])
        account.asks_engine = True
        if account.decider is None and not (account.is_call or _speaks_for_engine(signal)):
            because(account, asked[-1], Way.ENGINE)
        return
    broken = [s for s in steps if s.state is State.BROKEN and (s.is_call or s.kind == SpanKind.INTERNAL)]
    if broken and signal.is_check and _vague(account):
        account.state = State.BROKEN
        because(account, max(broken, key=by_end))
        return
    if signal.is_check and _failed_itself(account):
        account.state = State.BROKEN
        return
    if account.kind == SpanKind.CLIENT and (signal.rule.decider == "callee" or signal.rule.layer_by == "service_role"):
        account.decider = _callee(account)


def _server_of(asked: Account) -> Node | None:
    """The engine's own span of an unrecorded answer, where it has one."""
    return next((a.decider or a.node for a in asked.chain() if a.decider is not None or a.kind == SpanKind.SERVER), None)


def _speaks_for_engine(signal: Signal) -> bool:
    """Whether the asker's attribute is named for an engine's answer: opa.decision, policy.decision."""
    return any(
        key.startswith(("opa.", "policy.", "cerbos.", "openfga.", "spicedb.", "pdp.", "authz.")) for key in signal.hit.keys
    )


def _is_introspection(step: Account) -> bool:
    return step.signal is not None and step.signal.rule.layer == "identity_provider"


# What only the one who issued a token knows of it.
_ISSUERS_WORDS = frozenset({"token_revoked", "token_invalid", "token_expired", "user_unknown", "account_disabled",
                            "account_locked"})  # fmt: skip


def _tells_of_a_token(account: Account) -> bool:
    """Whether a check that looked a token up tells what was found there, and not what else was wrong: its scope, its owner."""
    known = reasons.of(statements.reason_text(account.reading, account.node, account.signal))
    return known is not None and known.code in _ISSUERS_WORDS


def _vague(account: Account) -> bool:
    """Whether the words of a refusal leave open that it was a failure."""
    words = statements.reason_text(account.reading, account.node, account.signal)
    found = reasons.of(words)
    if found is None:
        # A guard gives a framework's refusal whatever happened inside it; its name and flags are no reason.
        signal = account.signal
        return not words or (signal is not None and (signal.says == "guard" or signal.evidence in ("structure", "protocol")))
    return found.code in ("dependency_error", "access_denied", "token_invalid", "login_required")


_FAILURES = re2.compile(
    r"(?i)time.?out|deadline.?exceeded|connect(ion|error|_?error|.?refused|.?reset)|unavailable|unreachable|\bECONN"
)


def _failed_itself(account: Account) -> bool:
    """Whether an exception on the check says that it could not be made. Words of its reason prove nothing of the kind."""
    return any(kind and _FAILURES.search(kind[:256]) for kind, _ in semconv.exceptions(account.node.span))


def _callee(account: Account) -> Node | None:
    """The called service's own span, where it has one."""
    near = islice(account.reading.subtree(account.node), 1, _LOOKED_AT)
    servers = [node for node in near if node.span.kind == SpanKind.SERVER]
    # A sidecar before the callee only passes the question on.
    return next((node for node in servers if not is_proxy(node)), servers[0] if servers else None)


def _broken_by_signal(account: Account) -> None:
    account.state = State.BROKEN
    steps = [s for s in live(account) if s.resolved_by is None]
    refused = [s for s in steps if s.state is State.DENY and s.signal is not None and s.signal.says in ("store", "peer")]
    if refused:
        account.state = State.DENY  # the store that was to be asked turned us away
        because(account, max(refused, key=by_end))
        return
    deeper = [s for s in steps if s.state is State.BROKEN] or _broke_inside(steps)
    if deeper:
        because(account, max(deeper, key=by_end))


def _broke_inside(steps: list[Account]) -> list[Account]:
    """What broke inside a callee that answered all the same; the caller saw its answer for the failure it was."""
    return [
        item.account for step in steps[-_LOOKED_AT:] for item in step.items[-_LOOKED_AT:] if item.kind is Tolerated.FAIL_OPEN
    ]


def _mute(account: Account) -> None:
    account.state = State.MUTE
    steps = live(account)
    said = [s for s in steps if s.state in (State.DENY, State.ALLOW, State.BROKEN) or s.said_no is not None]
    if said:
        last = said[-1]
        account.state = State.DENY if last.said_no is not None else last.state
        because(account, last)
        return
    if any(said_yes(s) for s in steps):
        account.state = State.ALLOW
        return
    account.decider = _callee(account)


def of_call(account: Account) -> None:
    """A CLIENT or PRODUCER span: the callee's account where it has one, else what the span itself was answered."""
    account.decider = None
    if _stands_for_the_callee(account):
        of_request(account)
        return
    inside = [s for s in account.inner if s.kind in (SpanKind.SERVER, SpanKind.CLIENT) or s.is_hop]
    hop = inside[-1] if inside else None
    answer = account.answer
    if answer is Answer.BUSINESS and account.called is Peer.POLICY:
        # An engine that calls a question malformed did not answer it.
        account.state = State.BROKEN
        inner = [hop] if hop is not None and hop.state is State.BROKEN else _broke_inside(inside)
        account.cause = inner[-1] if inner else None
        return
    if answer is Answer.FAILED and _refused_in_words(account):
        account.state = State.DENY
        if hop is not None and hop.state is State.FINE and hop.answer is Answer.NONE:
            hop.state, hop.way = State.DENY, Way.OWN
            account.cause = hop
        return
    if hop is not None:
        if hop.state in (State.DENY, State.BROKEN, State.SILENT):
            if answer in _ANSWERED_WELL and hop.answer not in _UNTOLD and not _is_invoked(hop):
                account.conflict = "the caller saw a good answer where the callee gave a bad one"
                account.items = hop.items
                return
            account.state = hop.state
            account.cause = hop
            account.items = hop.items
            return
        account.items = hop.items
        if answer in REFUSALS and hop.answer not in REFUSALS:
            if hop.said_no is not None:
                account.state = State.DENY
                because(account, hop)
                return
            # Something between the two refused, and it has no span.
            account.state = State.SILENT if hop.answer in (Answer.OK, Answer.REDIRECT) else State.DENY
            account.way = Way.INTERMEDIARY
            return
        if answer is Answer.FAILED and hop.answer is not Answer.FAILED and not _only_broke(hop):
            account.state = State.BROKEN  # it gave up waiting, or the answer was lost
            return
        if _only_broke(hop):
            account.items = []
            account.state = State.BROKEN
            account.cause = hop.items[0].account
            return
        account.said_no = hop if hop.said_no is not None else None
        if hop.state in (State.ALLOW, State.MUTE):
            account.state = hop.state
            account.cause = hop if hop.state is State.MUTE else None
        elif account.said_no is None:
            account.state = _verdict_of(hop)
            if account.state is State.MUTE:
                account.cause = hop
        return
    if answer in REFUSALS:
        account.state = State.DENY
    elif answer is Answer.FAILED or answer is Answer.CANCELLED:
        account.state = State.BROKEN
        broken = [s for s in account.inner if s.state is State.BROKEN]
        if broken:
            account.cause = max(broken, key=by_end)
    elif account.node.span.status == Status.ERROR:
        account.state = State.BROKEN if answer not in (Answer.MISSING, Answer.BUSINESS) else State.FINE
    else:
        account.items = gathered(account)


_ANSWERED_WELL = frozenset({Answer.OK, Answer.REDIRECT})
_UNTOLD = frozenset({Answer.OK, Answer.REDIRECT, Answer.LOGIN, Answer.NONE})


def _is_invoked(hop: Account) -> bool:
    """Whether it is a function, whose invocation is answered well however the function itself ended."""
    return "faas.invocation_id" in hop.node.span.attributes and semconv.http_status(hop.node.span) is None


def _refused_in_words(account: Account) -> bool:
    """Whether an RPC failed with a code of its own house, and its words say that a credential was refused."""
    span = account.node.span
    if semconv.grpc_status(span) is not None or not semconv.first_text(span.attributes, semconv.ALIASES["rpc.status"]):
        return False
    known = reasons.of(statements.reason_text(account.reading, account.node, None))
    return known is not None and known.phase is not None and known.code != "dependency_error"


def _stands_for_the_callee(account: Account) -> bool:
    """Whether what the callee did hangs below the call itself, because the callee's own span was lost."""
    joined = account.reading.joined
    return bool(joined) and any(s.node.index in joined and s.kind is not SpanKind.SERVER for s in account.inner)


def _only_broke(hop: Account) -> bool:
    """Whether the callee answered well although its one check broke, and did nothing else: its answer is that failure."""
    if len(hop.items) != 1 or hop.items[0].kind is not Tolerated.FAIL_OPEN or hop.items[0].by is not hop:
        return False
    return not any(is_business(step) for step in hop.inner)


def _verdict_of(hop: Account) -> State:
    """What a good answer stood for: the last word of the checks that its hop made, if it did nothing else."""
    if hop.cause is not None and hop.cause.state is State.MUTE:
        return State.MUTE
    checks = [s for s in hop.inner if s.state is State.MUTE or (s.state is State.ALLOW and (s.check or s.is_call))]
    if checks and not any(is_business(s) for s in hop.inner):
        return checks[-1].state
    return State.FINE
