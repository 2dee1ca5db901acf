"""What became of a refusal that did not stop the request: bypassed, a part left out, a probe, a refusal in the body.

Source: docs/method.md, "When the request went on".
"""

from __future__ import annotations

import functools
from itertools import islice

from app.analysis import effects, peers, reasons, statements
from app.analysis.accounts import Account, Item, State, Tolerated, by_start
from app.analysis.attempts import choose, shape
from app.analysis.branches import Branch, Branches
from app.analysis.peers import Peer
from app.analysis.steps import is_bad, is_business, is_check, is_guarding, repeats
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status


def tolerate(account: Account) -> None:
    """What became of the refusals and failures below a hop that answered well."""
    bad = [step for step in account.inner if is_bad(step)]
    if not bad:
        _pass_on(account)
        return
    items = account.items
    hop = _Hop(account)
    final = []
    for step in bad:
        if step.resolved_by is not None:
            items.append(Item(Tolerated.RETRIED, step, account, (step.resolved_by,)))
        elif step.state is State.BROKEN and step.said_no is None:
            if is_guarding(step) or _served_a_check(step, account):
                items.append(Item(Tolerated.FAIL_OPEN, step, account, hop.branches.of(step).shown(step)))
        elif step.state is State.SILENT and step.said_no is None:
            items.append(Item(Tolerated.PARTIAL, step, account))
        else:
            branch = hop.branches.of(step)
            kind = hop.became(step, branch)
            if kind is Tolerated.SAID_NO:
                final.append(step)
                continue
            item = Item(kind, step, account, branch.shown(step))
            item.within = branch.scope
            passed = branch.at(branch.guarded(step)[1])
            item.until = passed.start if passed is not None else None
            items.append(item)
    if final:
        account.said_no = choose(final, [])


def _pass_on(account: Account) -> None:
    """A service that does nothing but pass an engine's unrecorded answer on is that engine to its caller."""
    steps = account.inner
    if steps and steps[-1].state is State.MUTE and account.kind == SpanKind.SERVER and not any(map(is_business, steps)):
        account.cause = steps[-1]


_QUESTIONS = ("/permissions", "/permission", "/can-i", "/can_i", "/cani", "/capabilities", "/entitlements", "/access",
              "/authorize", "/authz", "/allowed", "/abilities", "/my-rights", "/rights", "/whoami", "/check")  # fmt: skip


class _Hop:
    """A hop that answered well although something below it was refused; families of checks are looked at once."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.branches = Branches(account)
        self._families: dict[tuple[object, ...], _Family] = {}
        whole = self.branches.whole
        # What a check needs to know is read before it, so a read does not begin the work that it guards.
        worked = (
            step.end
            for step, business in zip(whole.steps, whole.business, strict=True)
            if business and not (step.is_store_call and step.change is None)
        )
        self._first_work = min(worked, default=None)
        self._known: dict[object, bool] = {}  # what is the same for every refusal of the hop

    def became(self, step: Account, branch: Branch) -> Tolerated:
        """What became of one refusal."""
        if self._began_after_answer(step) and not (is_check(step) and branch.writes(*branch.guarded(step))):
            return Tolerated.PARTIAL  # accepted first, refused later
        if not is_check(step):
            return Tolerated.PARTIAL if self._delivered(reads_count=True) else Tolerated.SAID_NO
        first, last = branch.guarded(step)
        family = self._family(step)
        written = branch.writes(first, last)
        if _is_marked_optional(step):
            return Tolerated.OPTIONAL
        if written and not (family.allowed and not self._usual(family, written)):
            return Tolerated.BYPASSED
        if self._has_alternative(step, branch):
            return Tolerated.PROBE
        if len(family.members) > 1 and family.is_probe:
            if not self._acts_in_bulk():
                return Tolerated.PROBE
            return Tolerated.PARTIAL if family.allowed else Tolerated.SAID_NO
        if branch.has_business(first, last):
            # The one check before all work guards the request; one amid the work guards a part of it.
            if self._reads_without_a_person(step):
                return Tolerated.OPTIONAL
            began = self._first_work is not None and self._first_work <= step.start
            return Tolerated.PARTIAL if began or family.allowed else Tolerated.BYPASSED
        if self._other_fields(step):
            return Tolerated.PARTIAL
        if self._asks_permission():
            return Tolerated.PROBE
        delivered = self._delivered(reads_count=branch is not self.branches.whole)
        return Tolerated.PARTIAL if delivered else Tolerated.SAID_NO

    def _began_after_answer(self, step: Account) -> bool:
        """Whether a step is background work: the request had been answered when it began."""
        return self._answered_at is not None and step.start > self._answered_at and step.node.index not in step.reading.joined

    @functools.cached_property
    def _answered_at(self) -> int | None:
        """When the client had its answer, as far as that is known; 202 promises work that is still to be done."""
        span = self.account.node.span
        if not span.end_ns > span.start_ns > 0:
            return None
        if semconv.http_status(span) == 202:
            return self.account.start
        sent = (kid.end_ns for kid in self.account.reading.kids(self.account.node) if _sends_answer(kid))
        return min(sent, default=self.account.end)

    def _reads_without_a_person(self, step: Account) -> bool:
        """Whether nobody had presented a credential, and the request only read: the check was to say who asks."""
        if semconv.method(self.account.node.span) not in ("GET", "HEAD") or step.signal is None:
            return False
        why = reasons.of(statements.reason_text(step.reading, step.node, step.signal))
        return statements.phase(step.signal) == "authn" and why is not None and why.code == "token_missing"

    def _family(self, step: Account) -> _Family:
        """The checks of the hop that ask the same kind of question as this one."""
        key = _question(step)
        found = self._families.get(key)
        if found is None:
            members = [other for other in self.account.inner if _question(other) == key]
            found = self._families[key] = _Family(self.branches.whole, members)
        return found

    def _usual(self, family: _Family, written: list[Account]) -> bool:
        """Whether a change after a refusal is one of those that the allowed checks of the batch stand before."""
        return any(
            step.change is not None and (step.change.kind, step.change.target, step.change.verb) in family.changes
            for step in written
        )

    def _has_alternative(self, step: Account, branch: Branch) -> bool:
        """Whether another check, asked right after this one, let the request pass: either was enough."""
        following = branch.at(branch.after(step.end))
        if following is None or not step.check:
            return False
        same = following.node.span.name == step.node.span.name
        return following.state is State.ALLOW and is_check(following) and not same

    def _acts_in_bulk(self) -> bool:
        """Whether the request was to change many things, rather than to ask about them."""
        span = self.account.node.span
        if semconv.http_status(span) == 207:
            return True
        path = semconv.route(span) or semconv.path(span)
        if semconv.method(span) not in ("POST", "PUT", "PATCH", "DELETE") or path.lower().rstrip("/").endswith(_QUESTIONS):
            return False
        asked = peers.of_target(semconv.path(span), span.name)
        return asked is not Peer.POLICY and not effects.words().post_reads.search(path[:1024])

    def _asks_permission(self) -> bool:
        """Whether the request itself asked what is permitted, so that a no is the answer it wanted."""
        span = self.account.node.span
        path = (semconv.route(span) or semconv.path(span)).lower().rstrip("/")
        return bool(path) and semconv.method(span) in ("GET", "HEAD") and path.endswith(_QUESTIONS)

    def _other_fields(self, step: Account) -> bool:
        """Whether other fields of the same GraphQL operation resolved."""
        scope = step.node.span.scope.name
        if step.signal is None or not step.signal.rule.id.startswith("generic.graphql"):
            return False
        if scope not in self._known:
            self._known[scope] = any(
                node.span.scope.name == scope
                and node.span.name.startswith("graphql.resolve")
                and node.span.status != Status.ERROR
                and node.index not in self.account.reading.signals
                for node in self.account.reading.subtree(self.account.node)
            )
        return self._known[scope]

    def _delivered(self, *, reads_count: bool) -> bool:
        """Whether the hop did other work of its own, so that a refusal cost only a part of the answer."""
        if reads_count not in self._known:
            whole = self.branches.whole
            self._known[reads_count] = any(
                business and (reads_count or not step.is_store_call or step.change is not None)
                for step, business in zip(whole.steps, whole.business, strict=True)
            )
        return self._known[reads_count]


_NEAR = 8  # spans between a check and what it asked; a chain's depth is its sender's choice
_CHECKS = ("auth", "permission", "acl", "jwt", "rbac", "limiter", "ratelimit", "rate limit", "rate_limit", "rate-limit")


def _served_a_check(step: Account, account: Account) -> bool:
    """Whether what broke was called from inside a span that is named for a check, and which passed all the same."""
    for above in islice(step.reading.ancestors(step.node), _NEAR):
        if above is account.node or above.span.kind != SpanKind.INTERNAL:
            return False
        name = above.span.name[:128].lower()
        if any(word in name for word in _CHECKS):
            return "author" not in name or "authori" in name
    return False


def _is_marked_optional(step: Account) -> bool:
    """Whether a check says of itself that the request may go on without it."""
    span = step.node.span
    marks = (semconv.text(span.attributes.get(key)).lower() for key in ("auth.optional", "authn.optional"))
    required = semconv.text(span.attributes.get("auth.required")).lower()
    return "true" in marks or required == "false" or "optional" in span.name[:128].lower()


def _sends_answer(node: Node) -> bool:
    """An ASGI server's own span of sending the head of its answer."""
    return node.span.name.endswith("http send") and semconv.http_status(node.span) is not None and repeats(node)


class _Family:
    """Several checks that ask the same kind of question."""

    def __init__(self, whole: Branch, members: list[Account]) -> None:
        self.members = sorted(members, key=by_start)
        self.allowed = any(step.state is State.ALLOW for step in members)
        self.changes = set()
        for step in self.members if self.allowed else ():
            following = whole.at(whole.after(step.end)) if step.state is State.ALLOW else None
            if following is not None and following.change is not None:
                self.changes.add((following.change.kind, following.change.target, following.change.verb))
        # Asked in a row, with no change made on their word: a question about permissions.
        first, last = self.members[0], self.members[-1]
        start, end = whole.after(first.end), whole.after(last.start)
        rest = len(whole.steps)
        self.is_probe = not whole.has_business(start, end) and not whole.writes(start, rest)


def _question(step: Account) -> tuple[object, ...]:
    """What kind of question a step asks: a check by its name, a call by its target with the numbers left out."""
    span = step.node.span
    if step.check:
        return "check", span.name
    if step.is_call:
        return "call", semconv.peer(span), semconv.method(span), shape(span)
    return "step", step.node.index
