"""The judgement: what became of the request, which span decided it, and how sure that is.

Source: docs/method.md, "How a refusal is traced".
"""

from __future__ import annotations

from app.analysis import entry as entries
from app.analysis import peers
from app.analysis.accounts import Account, Item, State, Tolerated
from app.analysis.answers import REFUSALS, Answer
from app.analysis.attempts import choose
from app.analysis.ledger import Ledger
from app.analysis.peers import Peer
from app.analysis.reading import Reading
from app.analysis.roles import Role, Roles
from app.analysis.signals import Said
from app.analysis.verdict import Outcome
from app.traces import semconv
from app.traces.model import Node, SpanKind


class Judgement:
    """What the accounts of a trace come to.

    chain:    accounts from the entry down to the origin; empty where nothing was refused and nothing broke.
    node:     the deciding span; the decider's own where its result stands on the asker's.
    enforcer: the hop that turned the decision into an answer, or None.
    relays:   hops that only passed the answer on, nearest to the entry first.
    item:     for a tolerated refusal, what went on in spite of it.
    """

    def __init__(self, reading: Reading, ledger: Ledger, entry: Node, roles: Roles, said: Said) -> None:
        self.reading = reading
        self.ledger = ledger
        self.entry = entry
        self.roles = roles
        self.said = said
        self.top = ledger.of(entry)
        self.outcome = Outcome.NO_AUTH_EVIDENCE
        self.chain: list[Account] = []
        self.item: Item | None = None
        self.consumer: Account | None = None
        self.enforcer: Node | None = None
        self.relays: list[Node] = []
        self.asked = False  # the origin's hop was asked for a decision, rather than for what it refused

    @property
    def origin(self) -> Account | None:
        return self.chain[-1] if self.chain else None

    @property
    def node(self) -> Node | None:
        origin = self.origin
        if origin is None:
            return None
        return origin.decider or origin.node

    @property
    def names_one(self) -> bool:
        """Whether the outcome names a denial or something broken."""
        return self.outcome in (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED, Outcome.ERROR)

    @property
    def refused(self) -> bool:
        return self.outcome in (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED)

    def items(self, *kinds: Tolerated) -> list[Item]:
        """The tolerated refusals and failures of the whole request, in order."""
        found = [item for item in self.top.items if item.kind in kinds]
        return sorted(found, key=lambda item: (item.account.node.start_ns, item.account.node.index))


def judge(reading: Reading, said: Said) -> Judgement:
    """Judge one trace whose signals have been collected."""
    entry = entries.find(reading)
    ledger = Ledger(reading, [entry])
    roles = Roles(reading, entry)
    judgement = _judge_from(reading, ledger, entry, roles, said)
    further = entries.others(reading, entry)
    again = [other for other in further if _is_attempt(entry, other)]
    if again:
        return _last_attempt(reading, [entry, *again], said)
    # Several requests under one trace id: the first stands for the trace, unless only a later one was refused.
    if judgement.outcome in (Outcome.ALLOWED, Outcome.NO_AUTH_EVIDENCE):
        for other in further:
            if entries.is_taken_up(other) and not other.lost_parent:
                continue
            second = _judge_from(reading, ledger, other, Roles(reading, other), said)
            if second.outcome in (Outcome.DENIED, Outcome.BYPASSED, Outcome.INCONCLUSIVE):
                return second
    return judgement


def _is_attempt(entry: Node, other: Node) -> bool:
    """Whether a further root is the same request once more, begun after the first had been answered."""
    a, b = entry.span, other.span
    return (
        a.kind == b.kind == SpanKind.SERVER
        and entry.service == other.service
        and (semconv.method(a), semconv.path(a)) == (semconv.method(b), semconv.path(b))
        and entry.end_ns <= other.start_ns
    )


def _last_attempt(reading: Reading, attempts: list[Node], said: Said) -> Judgement:
    """Of several attempts at one thing the last; refusals before it are retries."""
    attempts.sort(key=lambda node: (node.start_ns, node.index))
    last = attempts[-1]
    judgement = _judge_from(reading, Ledger(reading, attempts), last, Roles(reading, last), said)
    if judgement.outcome in (Outcome.ALLOWED, Outcome.NO_AUTH_EVIDENCE):
        for node in attempts[:-1]:
            earlier = judgement.ledger.of(node)
            if earlier.state is State.DENY:
                judgement.top.items.append(Item(Tolerated.RETRIED, earlier, judgement.top, (judgement.top,)))
    return judgement


def _judge_from(reading: Reading, ledger: Ledger, entry: Node, roles: Roles, said: Said) -> Judgement:
    judgement = Judgement(reading, ledger, entry, roles, said)
    top = judgement.top
    if top.state in (State.DENY, State.BROKEN, State.SILENT):
        judgement.outcome = {State.DENY: Outcome.DENIED, State.BROKEN: Outcome.ERROR}.get(top.state, Outcome.INCONCLUSIVE)
        judgement.chain = top.chain()
    elif top.said_no is not None:
        judgement.outcome = Outcome.DENIED
        judgement.chain = top.chain()
    else:
        _went_on(judgement)
    if judgement.chain:
        _place(judgement)
    return judgement


def _went_on(judgement: Judgement) -> None:
    """The client got a good answer: what was refused or broke on the way?"""
    bypassed = judgement.items(Tolerated.BYPASSED)
    if bypassed:
        _name(judgement, Outcome.BYPASSED, bypassed[0])
        return
    late = [a for a in _background(judgement) if a.state in (State.DENY, State.SILENT) or a.said_no is not None]
    partial = judgement.items(Tolerated.PARTIAL)
    later_bypassed = [item for a in _background(judgement) for item in a.items if item.kind is Tolerated.BYPASSED]
    if later_bypassed:
        _name(judgement, Outcome.BYPASSED, later_bypassed[0])
        return
    if partial:
        chosen = choose([item.account for item in partial], [])
        _name(judgement, Outcome.PARTIALLY_DENIED, next(item for item in partial if item.account is chosen))
        return
    if late:
        judgement.outcome = Outcome.PARTIALLY_DENIED
        judgement.consumer = late[0]
        judgement.chain = late[0].chain()
        return
    if _speaks(judgement):
        judgement.outcome = Outcome.ALLOWED


def _background(judgement: Judgement) -> list[Account]:
    """The consumers that worked on what this request sent."""
    return [a for a in judgement.ledger.background if a.node is not judgement.entry]


def _name(judgement: Judgement, outcome: Outcome, item: Item) -> None:
    judgement.outcome = outcome
    judgement.item = item
    judgement.chain = item.account.chain()


def _speaks(judgement: Judgement) -> bool:
    """Whether anything on the request's way speaks of authentication or authorization."""
    if judgement.top.items:
        return True
    return any(signal.says != "fetch" for signal in judgement.reading.signals.values())


# ------------------------------------------------------------------------------------------------------- who did what


def _place(judgement: Judgement) -> None:
    """Find the hop that enforced the decision and those that passed it on."""
    reading = judgement.reading
    node = judgement.node
    assert node is not None
    hops = _hops_above(judgement, node)
    own = hops[0]
    enforcer = own
    if len(hops) > 1 and _was_asked(judgement, own):
        judgement.asked = True
        others = [hop for hop in hops[1:] if hop.service != own.service] or hops[1:]  # an engine's own front only hands it on
        enforcer = next((hop for hop in others if judgement.roles.of(hop).role is not Role.MESH_PROXY), others[0])
    judgement.enforcer = enforcer
    if judgement.outcome not in (Outcome.DENIED, Outcome.ERROR, Outcome.INCONCLUSIVE):
        return
    above = hops[hops.index(enforcer) + 1 :]
    judgement.relays = [
        hop for hop in reversed(above) if _passed_on(reading, hop, judgement) and hop.service != enforcer.service
    ]


def _passed_on(reading: Reading, hop: Node, judgement: Judgement) -> bool:
    answer = reading.answer(hop)
    if answer in REFUSALS or answer in (Answer.MISSING, Answer.FAILED, Answer.BUSINESS):
        return judgement.outcome is not Outcome.ERROR or answer in REFUSALS or answer is Answer.FAILED
    return judgement.outcome is Outcome.DENIED and hop.span.kind in (SpanKind.SERVER, SpanKind.CLIENT)


def _beyond_proxies(judgement: Judgement, hop: Node) -> Node:
    """The first hop from here upwards that is not a proxy of the mesh."""
    while judgement.roles.of(hop).role is Role.MESH_PROXY and (above := judgement.reading.parent(hop)) is not None:
        hop = judgement.reading.hop_of(above)
    return hop


def _hops_above(judgement: Judgement, node: Node) -> list[Node]:
    """The hops from the deciding span's own up to the entry's."""
    reading = judgement.reading
    found = [reading.hop_of(node)]
    while found[-1] is not judgement.entry:
        above = reading.parent(found[-1])
        if above is None:
            break
        found.append(reading.hop_of(above))
    return found


def _is_question(hop: Node, caller: Node) -> bool:
    """Whether a proxy's own span holds a decider's directly: asked at a check's path, about a request to another."""
    path, other = semconv.path(hop.span), semconv.path(caller.span)
    asked = peers.of_target(path, hop.span.name) is Peer.POLICY or peers.is_asking_path(path)
    return asked and not other.endswith(path)


def _was_asked(judgement: Judgement, hop: Node) -> bool:
    """Whether the hop was asked for a decision about somebody else's request, rather than for a thing it refused."""
    reading = judgement.reading
    answer = reading.answer(hop)
    role = judgement.roles.of(hop).role
    if role is Role.POLICY_ENGINE:
        return True
    origin = judgement.origin
    if origin is not None and origin.signal is not None and origin.signal.rule.id.startswith("generic.graphql"):
        return False  # a field was asked for, and its resolver refused it
    call = next((n for n in reading.ancestors(hop) if n.span.kind == SpanKind.CLIENT), None)
    caller = reading.parent(hop)
    if call is not None and (caller is None or reading.hop_of(call) is not reading.hop_of(caller)):
        call = None
    if call is not None:
        signal = reading.signals.get(call.index)
        upper = reading.hop_of(call)
        # A log-in that is handed on and answered alike is passed on, not asked about.
        handed_on = peers.is_login_path(semconv.path(upper.span)) and answer is reading.answer(upper)
        if signal is not None and signal.rule.decider == "callee" and not signal.bulk and not handed_on:
            return True
        if peers.of_call(call.span) is Peer.POLICY:
            return True
        if peers.asks_identity(call.span) and not peers.is_login_path(semconv.path(upper.span)):
            return True
        if role is Role.IDENTITY_PROVIDER and not peers.is_login_path(semconv.path(upper.span)):
            return peers.of_call(call.span) is Peer.IDENTITY and answer not in (Answer.NONE,)
    if call is None and caller is not None and caller.span.kind is SpanKind.SERVER and _is_question(hop, caller):
        return True
    if answer is Answer.NONE and call is not None and reading.answer(call) in REFUSALS:
        return False  # its own answer is lost; the caller was refused by it
    # It answered well and said no in its body, and the one who asked acted on it.
    if answer in (Answer.OK, Answer.REDIRECT, Answer.NONE) and judgement.outcome in (Outcome.DENIED, Outcome.BYPASSED):
        above = reading.parent(hop)
        if above is None or hop.span.kind == SpanKind.CONSUMER:
            return False
        asker = _beyond_proxies(judgement, reading.hop_of(above))
        if judgement.item is not None:
            return reading.hop_of(judgement.item.by.node) is not hop
        return reading.answer(asker) in REFUSALS or reading.answer(asker) in (Answer.MISSING, Answer.FAILED, Answer.BUSINESS)
    return False
