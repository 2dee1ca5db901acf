"""A search put together from fields: a TraceQL tree and a window of time. Pure.

Each field is a condition on some span of the trace, not all on the same one: the client's address stands on the entry, the
principal on a check further in. So the fields are joined between sets of spans: `{ ... } && { ... }`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

import msgspec

from app.errors import InvalidInput
from app.investigation import conditions
from app.investigation.labels import Compare, Meaning
from app.times import DAY, HOUR, UnixNanos, parse_iso
from app.traceql import nodes, parse
from app.traceql.nodes import Expression, Junction, SpanFilter
from app.traces import semconv
from app.traces.model import Status


class Ended(enum.StrEnum):
    """How the requests looked for ended, as far as single spans can tell; the verdict on each trace tells more."""

    ANY = ""
    REFUSED = "refused"
    ALLOWED = "allowed"
    BROKE = "broke"


LASTS: dict[str, int] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY}
_DEFAULT_LAST = "24h"

# The spellings worth a search; semconv reads more, but each costs every search of every trace.
_USERS = ("auth.subject", "auth.username", "enduser.id", "user.id", "user.name", "user.email", "authz.subject")
_ADDRESSES = ("client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip")
_ROUTES = ("http.route", "url.path", "http.target")
_REASONS = ("auth.failure_reason", "auth.error", "authz.reason", "auth.reason", "exception.message")
_RESULTS = {
    Ended.REFUSED: ("failure", "denied", "deny", "refused", "error"),
    Ended.ALLOWED: ("success", "allowed", "allow"),
}


class Fields(msgspec.Struct, frozen=True):
    """What was filled in; "" asks for anything. address: an address or a subnet. reason: a part of its words."""

    service: str = ""
    principal: str = ""
    address: str = ""
    route: str = ""
    reason: str = ""
    ended: Ended = Ended.ANY

    @property
    def is_empty(self) -> bool:
        return not any((self.service, self.principal, self.address, self.route, self.reason, self.ended))


class Window(msgspec.Struct, frozen=True):
    """When: the last so much, or from one instant to another."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    last: str = ""


def question(fields: Fields) -> nodes.Query:
    """The fields as a TraceQL query; every trace where none is filled in."""
    filters = tuple(SpanFilter(expression) for expression in _conditions(fields))
    if not filters:
        return nodes.search(nodes.span_filter())
    if len(filters) == 1:
        return nodes.search(filters[0])
    return nodes.search(nodes.SpansetLogical(filters, (Junction.AND,) * (len(filters) - 1)))


def own_words(text: str) -> nodes.Query:
    """A person's own TraceQL, read before Tempo is asked.

    Errors: TraceQLError with line and column; InvalidInput for a metrics query, which lists no traces.
    """
    query = parse.parse(text)
    if query.metrics is not None:
        raise InvalidInput("This is a metrics query: it counts spans and lists no traces.", field="q")
    return query


def window(
    last: str, start: str, end: str, now_ns: UnixNanos, *, lasts: Mapping[str, int] = LASTS, default: str = _DEFAULT_LAST
) -> Window:
    """The window asked for: between two times where both are given, else the last stretch, of those on offer.

    Errors: InvalidInput names the field.
    """
    if start or end:
        begin, until = _instant(start, "start"), _instant(end, "end") if end else now_ns
        if begin >= until:
            raise InvalidInput("The end lies before the start.", field="end")
        return Window(begin, until)
    if last and last not in lasts:
        raise InvalidInput(f"{last[:20]!r} is not one of {', '.join(lasts)}.", field="last")
    chosen = last or default
    return Window(UnixNanos(now_ns - lasts[chosen]), now_ns, chosen)


def _instant(text: str, field: str) -> UnixNanos:
    """A time as people and date fields write it; without an offset it is UTC, as all of Clew's times are."""
    text = text.strip()[:40]
    if not text:
        raise InvalidInput("A range needs a start.", field=field)
    clock = text.partition("T")[2] or text.partition(" ")[2]
    if clock and not clock.endswith(("Z", "z")) and "+" not in clock and "-" not in clock:
        text += ":00Z" if clock.count(":") == 1 else "Z"
    elif clock.count(":") == 1 and clock.endswith(("Z", "z")):
        text = f"{text[:-1]}:00Z"
    elif not clock:
        text += "T00:00:00Z"
    try:
        return parse_iso(text)
    except InvalidInput as error:
        raise InvalidInput(error.sentence, field=field) from None


def _conditions(fields: Fields) -> Iterator[Expression]:
    if fields.service:
        yield nodes.eq(nodes.resource("service.name"), fields.service)
    if fields.address:
        yield conditions.equals(_meaning("address", _ADDRESSES, _kind_of(fields.address)), fields.address)
    if fields.principal:
        yield conditions.equals(_meaning("principal", _USERS, Compare.EQUAL), fields.principal)
    if fields.route:
        yield conditions.equals(_meaning("route", _ROUTES, Compare.EQUAL), fields.route)
    if fields.reason:
        pattern = conditions.whole(f".*{conditions.literal(fields.reason)}.*")
        yield nodes.or_(*(nodes.matches(nodes.span(name), pattern) for name in _REASONS))
    if fields.ended:
        yield _ended(fields.ended)


def _meaning(label: str, names: tuple[str, ...], compare: Compare) -> Meaning:
    attributes = tuple(f"span.{name}" for name in dict.fromkeys(names))
    if compare is Compare.SUBNET:
        return Meaning(label, ("span.auth.client.subnet",), compare, addresses=attributes)
    return Meaning(label, attributes, compare)


def _kind_of(address: str) -> Compare:
    return Compare.SUBNET if "/" in address else Compare.ADDRESS


def _ended(ended: Ended) -> Expression:
    http = [nodes.span(name) for name in semconv.HTTP_STATUS]
    if ended is Ended.BROKE:
        return nodes.or_(nodes.eq(nodes.Intrinsic.STATUS, Status.ERROR), *(nodes.compare(f, ">=", 500) for f in http))
    said = nodes.one_of(nodes.span("auth.result"), _RESULTS[ended])
    if ended is Ended.ALLOWED:
        return nodes.or_(said, nodes.one_of(nodes.span("authz.decision"), ("allow", "permit")))
    decided = nodes.one_of(nodes.span("authz.decision"), ("deny", "denied"))
    # TraceQL tells 403 from "403", which is how Envoy writes it.
    answered = [nodes.one_of(f, (401, 403, "401", "403")) for f in http]
    grpc = nodes.one_of(nodes.span("rpc.grpc.status_code"), (7, 16))
    return nodes.or_(said, decided, *answered, grpc)
