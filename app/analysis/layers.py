"""The layers a request met, and the hops it passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from app.analysis import answers, naming, statements
from app.analysis.accounts import State
from app.analysis.judge import Judgement
from app.analysis.naming import Named
from app.analysis.signals import Signal
from app.analysis.verdict import Decision, Hop, Layer, LayerDecision, Outcome
from app.traces import semconv
from app.traces.model import Node, SpanKind

_MOST = 60
_MOST_HOPS = 500
_DECISIONS = {"allow": Decision.ALLOW, "deny": Decision.DENY, "error": Decision.ERROR, "unknown": Decision.UNKNOWN}


def met(judgement: Judgement, named: Named | None, clean: Callable[[str], str]) -> Iterator[LayerDecision]:
    """Every layer that decided, in the order met; of equal decisions of one service the first."""
    found: list[tuple[int, int, LayerDecision]] = []
    reading, roles = judgement.reading, judgement.roles
    origin, node = judgement.origin, judgement.node
    chain = {a.node.index for a in judgement.chain}
    own: LayerDecision | None = None
    if named is not None and node is not None:
        decision = Decision.ERROR if judgement.outcome is Outcome.ERROR else Decision.DENY
        own = LayerDecision(named.layer, named.service, decision, named.span_id, clean(named.reason), clean(named.target),
                            named.phase, named.rule)  # fmt: skip
        found.append((node.start_ns, node.index, own))
    known: set[tuple[Layer, str, Decision]] = set()
    for signal in sorted(reading.signals.values(), key=lambda s: (s.node.start_ns, s.node.index)):
        if origin is not None and named is not None and signal.node is origin.node:
            continue
        said = _decided(judgement, signal, chain)
        layer = naming.signal_layer(roles, signal)
        if said is None or (layer, signal.node.service, said) in known:
            continue
        known.add((layer, signal.node.service, said))
        reason = "" if said is Decision.ALLOW else statements.reason_text(reading, signal.node, signal)
        found.append((signal.node.start_ns, signal.node.index, LayerDecision(
            layer, signal.node.service, said, signal.node.span.span_id, clean(reason),
            clean(naming.target(reading, roles, signal.node)), statements.phase(signal), signal.rule.id)))  # fmt: skip
    if judgement.outcome is Outcome.INCONCLUSIVE and origin is not None:
        layer = roles.layer_of(origin.node)
        found.append((origin.node.start_ns, origin.node.index,
                      LayerDecision(layer, origin.node.service, Decision.NO_EVIDENCE, origin.node.span.span_id)))  # fmt: skip
        for call in origin.opaque[-3:]:
            layer = naming.peer_layer(reading, roles, call.node)
            found.append((call.node.start_ns, call.node.index, LayerDecision(
                layer, call.node.service, Decision.UNKNOWN, call.node.span.span_id,
                target=clean(naming.target(reading, roles, call.node)))))  # fmt: skip
    found.sort(key=lambda item: item[:2])
    seen: set[tuple[Layer, str, Decision]] = set()
    count = 0
    for _, _, entry in found:
        key = _key(entry)
        if key in seen or count >= _MOST or (own is not None and entry is not own and key == _key(own)):
            continue
        seen.add(key)
        count += 1
        yield entry
    if judgement.refused:
        yield from _not_reached(judgement, {(e.layer, e.service) for _, _, e in found})


def _decided(judgement: Judgement, signal: Signal, chain: set[int]) -> Decision | None:
    """What a signal stands for in the list; None where another span speaks for it."""
    if signal.says == "fetch" and signal.decision != "error":
        return None
    decision = _DECISIONS[signal.decision]
    account = judgement.ledger.accounts.get(signal.node.index)
    if decision is Decision.UNKNOWN:
        if account is not None and account.state in (State.DENY, State.ALLOW) and account.cause is not None:
            return None
        return _inferred(judgement, signal.node, chain)
    if decision is Decision.DENY and account is not None and account.state is State.BROKEN:
        return Decision.ERROR
    if decision is Decision.DENY and account is not None and account.state is State.ALLOW:
        return Decision.ALLOW  # a guard that others were asked after
    return decision


def _key(entry: LayerDecision) -> tuple[Layer, str, Decision]:
    return entry.layer, entry.service, entry.decision


def _inferred(judgement: Judgement, node: Node, chain: set[int]) -> Decision:
    """What an unrecorded answer must have been, by what came next."""
    stated = _result_around(judgement, node)
    if stated is not None:
        return stated
    if node.index in chain:
        return Decision.UNKNOWN if judgement.outcome is Outcome.INCONCLUSIVE else Decision.DENY
    if judgement.outcome is Outcome.ALLOWED:
        signal = judgement.reading.signals.get(node.index)
        return Decision.UNKNOWN if signal is not None and signal.bulk else Decision.ALLOW
    return Decision.UNKNOWN


def _result_around(judgement: Judgement, node: Node) -> Decision | None:
    """The result of the check that asked the question, where it asked nobody else; None where there is no such check."""
    reading = judgement.reading
    call: Node | None = None
    for above in islice(reading.ancestors(node), 16):
        if above.span.kind is SpanKind.CLIENT:
            call = above
        signal = reading.signals.get(above.index)
        if signal is not None and signal.is_check and signal.decision in ("allow", "deny"):
            alone = [kid for kid in reading.kids(above) if kid.span.kind is SpanKind.CLIENT and not semconv.db_system(kid.span)]
            return _DECISIONS[signal.decision] if alone == [call] or signal.decision == "allow" else None
        if above.span.kind is not SpanKind.CLIENT and call is not None:
            return None
    return None


def _not_reached(judgement: Judgement, seen: set[tuple[Layer, str]]) -> Iterator[LayerDecision]:
    """Layers that allowed requests of this route go on to, and this one did not."""
    for layer, service in judgement.reading.context.route_layers:
        if (layer, service) not in seen:
            yield LayerDecision(layer, service, Decision.NOT_REACHED)


def path(judgement: Judgement) -> Iterator[Hop]:
    """The hops of the request in the order met, those of background work last."""
    reading = judgement.reading
    relays = {hop.index for hop in judgement.relays}
    for node in reading.hops[:_MOST_HOPS]:
        parent = reading.parent(node)
        yield Hop(
            service=node.service,
            span_id=node.span.span_id,
            parent_service=parent.service if parent is not None else None,
            start_ns=node.start_ns,
            duration_ns=node.duration_ns,
            status=answers.shown_status(node.span) if reading.keysets[node.index].answer else None,
            relay=node.index in relays,
        )
