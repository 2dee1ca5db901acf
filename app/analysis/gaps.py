"""What the trace cannot show: hops without spans, parts out of place, data that was lost or damaged."""

from __future__ import annotations

from collections.abc import Iterator

from app.analysis import peers
from app.analysis.judge import Judgement
from app.analysis.naming import sends_spans
from app.analysis.reading import Reading
from app.analysis.roles import Role, is_proxy
from app.analysis.verdict import Finding, FindingKind
from app.traces import semconv
from app.traces.model import DefectKind, Node, SpanKind

_MOST = 100

_DEFECTS = {kind: FindingKind(kind.value) for kind in DefectKind if kind.value in FindingKind.__members__.values()}


def find(judgement: Judgement) -> Iterator[Finding]:
    """The gaps of the judged trace, as findings."""
    yield from _defects(judgement.reading)
    yield from _hops(judgement.reading)
    yield from _propagation(judgement)


def _defects(reading: Reading) -> Iterator[Finding]:
    """The defects that the repair of the tree listed."""
    by_id = reading.trace.by_id
    for defect in reading.trace.defects:
        kind = _DEFECTS.get(defect.kind)
        if kind is None:
            continue
        span_id = next((i for i in defect.span_ids if i in by_id), "")
        node = by_id.get(span_id)
        yield Finding(kind, node.service if node is not None else "", span_id, defect.detail)


def _hops(reading: Reading) -> Iterator[Finding]:
    """Calls to another service that no span of that service answers."""
    unseen: dict[tuple[str, str], list[Node]] = {}
    count = 0
    keysets = reading.keysets
    for node in reading.outgoing:
        if node.span.kind != SpanKind.CLIENT or keysets[node.index].database or not is_open_call(reading, node):
            continue
        peer = semconv.peer(node.span)
        if sends_spans(reading, peer) and peer:
            count += 1
            if count <= _MOST:
                yield Finding(
                    FindingKind.MISSING_HOP,
                    node.service,
                    node.span.span_id,
                    f"{node.service} called {peer}, which sends spans; none for this call is in the trace.",
                )
        else:
            unseen.setdefault((node.service, peer), []).append(node)
    for (service, peer), nodes in list(unseen.items())[:_MOST]:
        times = f" ({len(nodes)} calls)" if len(nodes) > 1 else ""
        yield Finding(
            FindingKind.UNINSTRUMENTED_PEER,
            service,
            nodes[0].span.span_id,
            f"{service} called {peer or 'a peer it does not name'}{times}, which has not been seen to send spans.",
        )


def is_open_call(reading: Reading, node: Node) -> bool:
    """Whether a call between services has nothing on its other end."""
    span = node.span
    for kid in reading.kids(node):
        if kid.span.kind == SpanKind.SERVER or kid.span.kind == SpanKind.CLIENT or reading.starts_hop(kid):
            return False
    if not peers.is_call_between_services(span) or peers.connection_failed(span):
        return False
    if peers.is_side_call(span):
        return False
    if is_proxy(node):
        # Envoy's flags say that the connection was never made.
        flags = semconv.text(span.attributes.get(semconv.ENVOY_FLAGS))
        return not any(flag in ("UF", "UC", "UR", "UH", "NR") for flag in flags.split(","))
    return not _has_inner_call(reading, node)


def _has_inner_call(reading: Reading, node: Node) -> bool:
    """Whether the call is carried by another call below it (an RPC over HTTP)."""
    stack = list(reading.kids(node))
    while stack:
        found = stack.pop()
        if found.span.kind in (SpanKind.CLIENT, SpanKind.SERVER):
            return True
        stack.extend(reading.kids(found))
    return False


def _propagation(judgement: Judgement) -> Iterator[Finding]:
    """Server spans that should have a parent and name none."""
    reading = judgement.reading
    entry = judgement.entry
    top = entry
    for above in reading.ancestors(entry):
        top = above
    for root in reading.trace.roots[:_MOST]:
        if root is top or root.lost_parent or root.span.kind != SpanKind.SERVER:
            continue
        home = reading.joined.get(root.index)
        where = f" It is read as the other end of a call of {home.service}." if home is not None else ""
        yield Finding(
            FindingKind.BROKEN_PROPAGATION,
            root.service,
            root.span.span_id,
            f"{root.service} began its part without the caller's context.{where}",
        )
    if len(reading.trace) == 1 and _is_inner(judgement, entry):
        yield Finding(
            FindingKind.BROKEN_PROPAGATION,
            entry.service,
            entry.span.span_id,
            f"The trace is one lone span of {entry.service}. If another service called it, that call's context was lost.",
        )


def _is_inner(judgement: Judgement, node: Node) -> bool:
    """Whether a lone server span is that of a service behind others: no gateway, and called from inside."""
    if node.span.kind != SpanKind.SERVER or node.lost_parent or peers.is_probe(node.span):
        return False
    role = judgement.roles.of(node).role
    if role in (Role.GATEWAY, Role.FIREWALL, Role.BROWSER):
        return False
    address = semconv.client_address(node.span)
    return not address or is_internal_address(address)


def is_internal_address(address: str) -> bool:
    """An address of a private network, or a name without a dot."""
    if address.startswith(("10.", "192.168.", "127.", "fd", "fc", "::1", "169.254.")):
        return True
    if address.startswith("172."):
        second = address.split(".")[1:2]
        return bool(second) and second[0].isdigit() and 16 <= int(second[0]) <= 31
    return "." not in address and ":" not in address
