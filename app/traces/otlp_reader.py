"""What all encodings of OTLP share: ids, enums and times made sound, one object per resource and library."""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from app.times import UnixNanos
from app.traces.model import Attributes, Resource, Scope, Span, SpanKind, Status

UNKNOWN_SERVICE = "unknown_service"  # what the specification calls a resource without service.name
_LONGEST_SERVICE = 1_000  # characters; it is repeated wherever a span is named
NOTHING: Attributes = {}
MAX_TIME = 2**63 - 1
_HEX, _ZEROS = "0123456789abcdef", "0" * 16


class Decoded(msgspec.Struct, frozen=True):
    """Spans as sent, in the order sent, of one or more traces.

    partial, note: what the backend said of missing spans (Tempo's `status` and `message`).
    unreadable_ids: spans whose own id was empty or undecodable; they carry a made-up one.
    """

    spans: list[Span]
    partial: bool = False
    note: str = ""
    unreadable_ids: tuple[str, ...] = ()


class Reader:
    """Collects spans, sharing one object per resource, scope and id."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.made_up: list[str] = []
        self._resources: dict[str, Resource] = {}
        self._scopes: dict[str, Scope] = {}
        self._trace_ids: dict[str, str] = {}
        self.span_ids: dict[str, str] = {}

    def decoded(self, *, partial: bool = False, note: str = "") -> Decoded:
        return Decoded(self.spans, partial=partial, note=note[:500], unreadable_ids=tuple(self.made_up))

    def resource(self, attributes: Attributes) -> Resource:
        key = repr(sorted(attributes.items(), key=lambda item: item[0]))
        if key not in self._resources:
            name = attributes.get("service.name")
            service = name[:_LONGEST_SERVICE] if isinstance(name, str) and name else UNKNOWN_SERVICE
            self._resources[key] = Resource(service, attributes)
        return self._resources[key]

    def scope(self, name: str, version: str, attributes: Attributes) -> Scope:
        key = repr((name, version, attributes))
        return self._scopes.setdefault(key, Scope(name, version, attributes))

    def trace_id(self, text: str | None) -> str:
        text = text or ""
        if text not in self._trace_ids:
            self._trace_ids[text] = id_or_none(text, 32) or ""
        return self._trace_ids[text]

    def made_up_id(self) -> str:
        """For a span whose own id cannot be read, so that it is still there to see."""
        self.made_up.append(f"ffffffff{len(self.made_up):08x}")
        return self.made_up[-1]

    def id_of(self, text: str | None) -> str:
        """An id of eight bytes, or "". Most are met twice or more, as a span's own and as its children's parent."""
        if not text:
            return ""
        found = self.span_ids.get(text)
        if found is None:
            plain = len(text) == 16 and not text.strip(_HEX) and text != _ZEROS  # nearly all, and then text and id are one
            found = self.span_ids[text] = text if plain else id_or_none(text, 16) or ""
        return found


def hex_id(text: str, digits: int) -> str:
    """An id of `digits` hex digits (16 or 32) from hex or base64; "" for none or all zeros.

    Hex may be shorter (Tempo strips leading zeros). Errors: ValueError where it is neither.
    """
    length = len(text)
    if length == digits:
        raw = bytes.fromhex(text)
    elif length == digits * 3 // 4 and text[-1] == "=":  # 8 bytes are 12 characters of base64, 16 bytes are 24
        raw = binascii.a2b_base64(text, strict_mode=True)
    elif length < digits and text.isascii() and text.isalnum():
        raw = bytes.fromhex(text.zfill(digits))
    else:
        raise ValueError(f"not an id of {digits} hex digits")
    if len(raw) * 2 != digits:  # fromhex passes over spaces
        raise ValueError(f"not an id of {digits} hex digits")
    return raw.hex() if raw.strip(b"\0") else ""


def id_or_none(text: str, digits: int) -> str | None:
    try:
        return hex_id(text, digits) if text else None
    except ValueError:
        return None


def time(value: int | None) -> UnixNanos:
    if value is None or value < 0:
        return UnixNanos(0)
    return UnixNanos(value if value < MAX_TIME else MAX_TIME)


_KIND_NAMES = {kind.name: kind for kind in SpanKind}
_STATUS_NAMES = {status.name: status for status in Status}
_KINDS: dict[int | str | None, SpanKind] = {
    **{kind.value: kind for kind in SpanKind},
    **{f"SPAN_KIND_{kind.name}": kind for kind in SpanKind},
    None: SpanKind.UNSPECIFIED,
}
_STATUSES: dict[int | str | None, Status] = {
    **{status.value: status for status in Status},
    **{f"STATUS_CODE_{status.name}": status for status in Status},
    None: Status.UNSET,
}


def kind(value: int | str | None) -> SpanKind:
    """A span's kind from its number or its name, with or without prefix; what is unknown is UNSPECIFIED."""
    known = _KINDS.get(value)
    return known if known is not None else _enum(value, _KIND_NAMES, "SPAN_KIND_", SpanKind.UNSPECIFIED)


def status(value: int | str | None) -> Status:
    """A status code from its number or its name, with or without prefix; what is unknown is UNSET."""
    known = _STATUSES.get(value)
    return known if known is not None else _enum(value, _STATUS_NAMES, "STATUS_CODE_", Status.UNSET)


def _enum(value: int | str | None, names: dict[str, Any], prefix: str, default: Any) -> Any:
    if isinstance(value, str):
        if value.isdecimal():
            return _enum(int(value[:4]), names, prefix, default)
        return names.get(value.upper().removeprefix(prefix), default)
    try:
        return type(default)(value)
    except ValueError:
        return default
