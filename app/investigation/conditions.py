"""A label's value as a condition on spans: a tree, never text.

Each condition reads "any of the attributes that may hold it has this value", so that old and new spellings are found alike.
Regexes are written whole (`^...$`): Tempo before 2.7 does not anchor them.
"""

from __future__ import annotations

import ipaddress
import re

from app.investigation.labels import Compare, Meaning
from app.traceql import nodes
from app.traceql.nodes import Expression, Field, Intrinsic
from app.traces.model import SpanKind, Status

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,14})", re.ASCII)
_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}", re.ASCII)
_MAPPED = "(::ffff:)?"


class CannotAsk(Exception):
    """The value has no form in TraceQL; the text says why, to complete "... was not used: "."""


def field(name: str) -> Field:
    """A map's attribute as a node: `span.auth.result`, `resource.service.name`, `name`."""
    if name in nodes.INTRINSICS:
        return nodes.INTRINSICS[name]
    scope, _, rest = name.partition(".")
    return nodes.Attribute(rest, nodes.Scope(scope))


def equals(meaning: Meaning, value: str) -> Expression:
    """Spans of which the label has this value.

    Errors: CannotAsk.
    """
    fields = [field(name) for name in meaning.attributes]
    match meaning.compare:
        case Compare.NUMBER:
            if not _INTEGER.fullmatch(value):
                raise CannotAsk(f"{value[:40]!r} is no whole number")
            return nodes.or_(*(nodes.equal_in_any_type(f, int(value)) for f in fields))
        case Compare.KIND:
            return nodes.or_(*(nodes.eq(f, _kind(value)) for f in fields))
        case Compare.STATUS:
            return nodes.or_(*(nodes.eq(f, _status(value)) for f in fields))
        case Compare.PREFIX:
            return nodes.or_(*(nodes.matches(f, whole(literal(value) + ".*")) for f in fields))
        case Compare.ADDRESS:
            return _address(fields, value)
        case Compare.SUBNET:
            return _subnet(fields, [field(name) for name in meaning.addresses], value)
        case _:
            return nodes.or_(*(_same(f, value) for f in fields))


def matching(meaning: Meaning, pattern: str) -> Expression:
    """Spans of which the label matches a PromQL regex, which is RE2 and whole.

    Errors: CannotAsk.
    """
    if meaning.compare is not Compare.EQUAL:
        raise CannotAsk("a pattern cannot be held against this kind of attribute")
    return nodes.or_(*(nodes.matches(field(name), whole(pattern)) for name in meaning.attributes))


def auth_spans() -> Expression:
    """Spans that speak of authentication or authorization, by name, by result, or by the answer they gave."""
    answered = (nodes.span("http.response.status_code"), nodes.span("http.status_code"))
    return nodes.or_(
        nodes.matches(Intrinsic.NAME, whole("auth[.].*")),
        nodes.exists(nodes.span("auth.result")),
        *(nodes.eq(attribute, code) for attribute in answered for code in (401, 403)),
    )


def counted_auth_spans() -> Expression:
    """The spans that the auth metrics count."""
    return nodes.or_(nodes.matches(Intrinsic.NAME, whole("auth[.].*")), nodes.exists(nodes.span("auth.result")))


def literal(text: str) -> str:
    """Text that a regex takes literally."""
    return _META.sub(r"\\\g<0>", text)


def whole(pattern: str) -> str:
    return f"^(?:{pattern})$" if "|" in pattern else f"^{pattern}$"


def _same(f: Field, value: str) -> Expression:
    """Equal, also where the attribute was recorded as a number or boolean: labels are always text."""
    if isinstance(f, Intrinsic):
        return nodes.eq(f, value)
    if _INTEGER.fullmatch(value):
        return nodes.equal_in_any_type(f, int(value))
    if value in ("true", "false"):
        return nodes.one_of(f, (value, value == "true"))
    return nodes.eq(f, value)


def _kind(value: str) -> SpanKind:
    try:
        return SpanKind[value.upper().removeprefix("SPAN_KIND_")]
    except KeyError:
        raise CannotAsk(f"{value[:40]!r} is no span kind") from None


def _status(value: str) -> Status:
    try:
        return Status[value.upper().removeprefix("STATUS_CODE_")]
    except KeyError:
        raise CannotAsk(f"{value[:40]!r} is no span status") from None


def bare_address(text: str) -> str:
    """The address without port, brackets and IPv4-in-IPv6; the text itself where it is none."""
    text = text.strip()
    ported = _PORT.fullmatch(text)
    inner = (ported[1] or ported[2]) if ported else text
    try:
        address = ipaddress.ip_address(inner)
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _address(fields: list[Field], value: str) -> Expression:
    bare = bare_address(value)
    spellings = dict.fromkeys((bare, value.strip()))
    conditions = [nodes.eq(f, spelling) for f in fields for spelling in spellings]
    if len(spellings) > 1:
        # The label came with a port: then the attribute has one too, another for each connection.
        port = literal(bare) if "." in bare else rf"\[{literal(bare)}\]"
        conditions += [nodes.matches(f, whole(rf"{_MAPPED}{port}:[0-9]+")) for f in fields]
    return nodes.or_(*conditions)


def _subnet(fields: list[Field], addresses: list[Field], value: str) -> Expression:
    conditions: list[Expression] = [nodes.eq(f, value) for f in fields]
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        # "other" and "unknown" are values of the label too.
        return nodes.or_(*conditions)
    pattern = _v4_pattern(network) if isinstance(network, ipaddress.IPv4Network) else _v6_pattern(network)
    return nodes.or_(*conditions, *(nodes.matches(f, whole(pattern)) for f in addresses))


def _v4_pattern(network: ipaddress.IPv4Network) -> str:
    """Addresses of the subnet as text, with or without a port or ::ffff: before it."""
    octets: list[str] = []
    for first, last in zip(network.network_address.packed, network.broadcast_address.packed, strict=True):
        if (first, last) == (0, 255):
            # What follows is the rest of an address: no need to spell it out.
            return f"{_MAPPED}{'[.]'.join([*octets, '.+'])}"
        octets.append(str(first) if first == last else f"({'|'.join(str(n) for n in range(first, last + 1))})")
    return f"{_MAPPED}{'[.]'.join(octets)}(:[0-9]+)?"


def _v6_pattern(network: ipaddress.IPv6Network) -> str:
    """Addresses whose leading groups are the subnet's, in any usual spelling. Of a prefix that ends inside a group, that
    group is left open: this finds a little more than the subnet, never less."""
    whole_groups = network.prefixlen // 16
    groups = [int(group, 16) for group in network.network_address.exploded.split(":")][:whole_groups]
    if not groups:
        return ".*:.*"
    written = [_group(f"{group:x}") for group in groups]
    spellings = [":".join(written) + ":.*"]
    # 2001:db8:0::/48 is written 2001:db8::1 as well: zeros of the prefix may be part of the gap.
    for first, last in _zero_runs(groups):
        if first and last == len(groups):
            spellings += [":".join(written[:kept]) + "::.*" for kept in range(first, last)]
        elif first and last - first > 1:
            spellings.append(f"{':'.join(written[:first])}::{':'.join(written[last:])}:.*")
    body = spellings[0] if len(spellings) == 1 else f"({'|'.join(spellings)})"
    return rf"\[?{body}"


def _zero_runs(groups: list[int]) -> list[tuple[int, int]]:
    """Where runs of zero groups begin and end."""
    runs: list[tuple[int, int]] = []
    for i, group in enumerate(groups):
        if group:
            continue
        if runs and runs[-1][1] == i:
            runs[-1] = (runs[-1][0], i + 1)
        else:
            runs.append((i, i + 1))
    return runs


def _group(digits: str) -> str:
    """Sixteen bits in hex, with or without leading zeros, in either case."""
    zeros = f"0{{0,{4 - len(digits)}}}" if len(digits) < 4 else ""
    return zeros + "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)
