"""What became of a refusal that did not stop the request: bypassed, a part left out, a probe, a refusal in the body.

Source: docs/method.md, "When the request went on".
"""

from __future__ import annotations

from collections.abc import Iterable

from app.analysis import effects, peers
from app.analysis.accounts import Account, Item, State, Tolerated, by_start
from app.analysis.attempts import choose, equal_call
from app.analysis.peers import Peer
from app.analysis.steps import is_bad, is_business, is_check, is_guarding, writes
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status


def tolerate(account: Account) -> None:
    """What became of the refusals and failures below a hop that answered well."""
    steps = account.inner
    bad = [s for s in steps if is_bad(s)]
    items = account.items
    if not bad:
        mute = [s for s in steps if s.state is State.MUTE]
        if mute and mute[-1] is steps[-1] and account.kind == SpanKind.SERVER and not any(is_business(s) for s in steps):
            account.cause = mute[-1]  # a service that only passes an engine's answer on
        return
    for step in bad:
        if step.resolved_by is not None:
            items.append(Item(Tolerated.RETRIED, step, account, (step.resolved_by,)))
    open_ = [s for s in bad if s.resolved_by is None]
    for step in open_:
        if step.state is State.BROKEN and step.said_no is None:
            if is_guarding(step):
                items.append(Item(Tolerated.FAIL_OPEN, step, account, guarded_by(account, step)[0]))
        elif step.state is not State.SILENT or step.said_no is not None:
            items.append(_item(account, step))
        else:
            items.append(Item(Tolerated.PARTIAL, step, account))
    final = [item for item in items if item.by is account and item.kind is Tolerated.SAID_NO]
    if final:
        account.said_no = choose([item.account for item in final], [])
        for item in final:
            items.remove(item)


def _item(account: Account, step: Account) -> Item:
    """The classification of one refusal below a hop that answered well."""
    after, within = guarded_by(account, step)
    family = _family(account, step)
    allowed = [s for s in family if s.state is State.ALLOW]
    item = Item(Tolerated.PARTIAL, step, account, after)
    item.within = within
    if is_check(step):
        written = [w for s in after for w in writes(s)]
        if written and not (allowed and not _alike(written, account, allowed)):
            item.kind = Tolerated.BYPASSED
            return item
        if _has_alternative(account, step):
            item.kind = Tolerated.PROBE
            return item
        if len(family) > 1 and _is_probe(account, family):
            if not _acts_in_bulk(account):
                item.kind = Tolerated.PROBE
            elif not allowed:
                item.kind = Tolerated.SAID_NO
            return item
        if any(is_business(s) for s in after):
            first = not any(is_business(s) for s in account.inner if s.end <= step.start)
            item.kind = Tolerated.BYPASSED if first and not allowed else Tolerated.PARTIAL
            return item
        if _other_fields(account, step):
            return item
        if _asks_permission(account):
            item.kind = Tolerated.PROBE
            return item
        if _delivered(account, step, reads_count=within is not account.node):
            return item
        item.kind = Tolerated.SAID_NO
        return item
    if not _delivered(account, step, reads_count=True):
        item.kind = Tolerated.SAID_NO
    return item


def guarded_by(account: Account, step: Account) -> tuple[list[Account], Node]:
    """The steps that the refusal should have stopped: those after it in its branch, up to the next check that passed.

    The branch is the innermost span around the refusal that did other work as well, or is one of several of its name.
    """
    reading = account.reading
    inside = {s.node.index: s for s in account.inner}
    scope = reading.parent(step.node) or account.node
    while scope is not account.node:
        below = [inside[n.index] for n in reading.subtree(scope) if n.index in inside]
        if any(is_business(s) or (s is not step and not s.check) for s in below):
            break
        above = reading.parent(scope)
        if above is None or any(k is not scope and k.span.name == scope.span.name for k in reading.kids(above)):
            break
        scope = above
    members = {n.index for n in reading.subtree(scope)} if scope is not account.node else None
    guarded = []
    for later in account.inner:
        if later is step or later.start < step.end or (members is not None and later.node.index not in members):
            continue
        if later.state is State.ALLOW and (later.check or is_check(later)):
            break
        guarded.append(later)
    return guarded, scope


def _has_alternative(account: Account, step: Account) -> bool:
    """Whether another check, asked right after this one, let the request pass: either was enough."""
    later = [s for s in account.inner if s.start >= step.end]
    if not later or not step.check:
        return False
    first = later[0]
    same = first.node.span.name == step.node.span.name
    return first.state is State.ALLOW and is_check(first) and not same


def _acts_in_bulk(account: Account) -> bool:
    """Whether the request was to change many things, rather than to ask about them."""
    span = account.node.span
    if semconv.http_status(span) == 207:
        return True
    path = semconv.route(span) or semconv.path(span)
    if semconv.method(span) not in ("POST", "PUT", "PATCH", "DELETE") or path.lower().rstrip("/").endswith(_QUESTIONS):
        return False
    asked = peers.of_target(semconv.path(span), span.name)
    return asked is not Peer.POLICY and not effects.words().post_reads.search(path[:1024])


def _family(account: Account, step: Account) -> list[Account]:
    """The checks of the hop that ask the same kind of question as this one."""
    if step.check:
        return [s for s in account.inner if s.check and s.node.span.name == step.node.span.name]
    return [s for s in account.inner if s.is_call and step.is_call and equal_call(s, step)]


def _is_probe(account: Account, family: list[Account]) -> bool:
    """Whether several checks were a question about permissions: asked in a row, with no change made on their word."""
    ordered = sorted(family, key=by_start)
    first, last = ordered[0], ordered[-1]
    between = [s for s in account.inner if first.end <= s.start <= last.start and s not in family]
    if any(is_business(s) for s in between):
        return False
    tail = [s for s in account.inner if s.start >= last.end]
    return not any(writes(s) for s in (*between, *tail))


def _alike(written: Iterable[Account], account: Account, allowed: list[Account]) -> bool:
    """Whether a change after a refusal is one of those that the allowed checks of the batch stand before."""
    usual = set()
    for check in allowed:
        for later in account.inner:
            if later.start >= check.end and later.change is not None:
                usual.add((later.change.kind, later.change.target, later.change.verb))
                break
    return any(w.change is not None and (w.change.kind, w.change.target, w.change.verb) in usual for w in written)


_QUESTIONS = ("/permissions", "/permission", "/can-i", "/can_i", "/cani", "/capabilities", "/entitlements", "/access",
              "/authorize", "/authz", "/allowed", "/abilities", "/my-rights", "/rights", "/whoami", "/check")  # fmt: skip


def _asks_permission(account: Account) -> bool:
    """Whether the request itself asked what is permitted, so that a no is the answer it wanted."""
    path = (semconv.route(account.node.span) or semconv.path(account.node.span)).lower().rstrip("/")
    return bool(path) and semconv.method(account.node.span) in ("GET", "HEAD") and path.endswith(_QUESTIONS)


def _other_fields(account: Account, step: Account) -> bool:
    """Whether other fields of the same GraphQL operation resolved."""
    scope = step.node.span.scope.name
    if step.signal is None or not step.signal.rule.id.startswith("generic.graphql"):
        return False
    return any(
        node.span.scope.name == scope
        and node.span.name.startswith("graphql.resolve")
        and node.span.status != Status.ERROR
        and node.index not in account.reading.signals
        for node in account.reading.subtree(account.node)
    )


def _delivered(account: Account, step: Account, *, reads_count: bool) -> bool:
    """Whether the hop did other work of its own, so that the refusal cost only a part of the answer."""
    for other in account.inner:
        if other is step or not is_business(other):
            continue
        if other.is_store_call and other.change is None and not reads_count:
            continue
        return True
    return False
