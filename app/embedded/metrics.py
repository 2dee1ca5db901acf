"""Span metrics of auth checks, in OpenMetrics with exemplars: what a Collector's span-metrics connector would make of the
same spans, under the same names.

    otel_security_calls_total{service_name, span_name, auth_result, auth_method, auth_failure_reason, auth_client_subnet}
    otel_security_duration_seconds_{bucket,sum,count}{service_name, span_name, auth_result, auth_method}
    otel_security_spray_calls_total{service_name, auth_client_subnet, auth_user_bucket}

An auth span is named `auth.*` or has an `auth.result`; spray counts failed log-ins with a user. Every label has few values by
construction: words from closed lists, subnets (/24 and /48) for addresses, 256 buckets for users; no name or address gets in.
Counters begin at zero when the process starts, which Prometheus takes for the reset it is.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from app.times import SECOND
from app.traces.model import Span, SpanKind

MAX_CALLS = 20_000
MAX_DURATIONS = 5_000
MAX_SPRAYS = 50_000
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0)
OVERFLOW: Values = ()  # the one series of what comes after

_CALLS = ("service_name", "span_name", "auth_result", "auth_method", "auth_failure_reason", "auth_client_subnet")
_DURATIONS = _CALLS[:4]
_SPRAYS = ("service_name", "auth_client_subnet", "auth_user_bucket")

_RESULTS = frozenset({"success", "failure", "error"})
_METHODS = frozenset({"password", "bearer", "session", "api_key", "mtls", "oidc", "saml", "webauthn", "totp"})
_REASONS = frozenset({
    "invalid_credentials", "unknown_user", "account_locked", "mfa_required", "mfa_failed", "token_expired", "token_invalid",
    "forbidden", "insufficient_scope", "policy_denied", "rate_limited", "upstream_error",
})  # fmt: skip
# The first that a span has counts. An instrumented client's peer is the server it calls, not the one who logs in.
_ADDRESSES = ("client.address", "http.client_ip", "net.peer.ip", "net.sock.peer.addr", "network.peer.address")
_USERS = ("user.name", "auth.username", "enduser.id")
_USER_HASH = "user.hash"
_LONGEST_LABEL = 128
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d{1,3}(?:\.\d{1,3}){3}):\d+", re.ASCII)

Values: TypeAlias = "tuple[str, ...]"  # of a family's labels, in their order


@dataclass(slots=True)
class Exemplar:
    trace_id: str
    span_id: str
    value: float
    at_s: float
    refused: bool

    def text(self) -> str:
        return f' # {{trace_id="{self.trace_id}",span_id="{self.span_id}"}} {_number(self.value)} {self.at_s:.3f}'


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    exemplars: list[Exemplar | None] = field(default_factory=lambda: [None] * (len(BOUNDS) + 1))
    sum_s: float = 0.0


class _Counters:
    """Counters of one family, at most so many; what comes after is counted together, under a label that says so."""

    def __init__(self, names: tuple[str, ...], most: int) -> None:
        self.names = names
        self._most = most
        self.counts: dict[Values, int] = {}
        self.exemplars: dict[Values, Exemplar] = {}

    def add(self, values: Values, exemplar: Exemplar) -> None:
        series = limited(self.counts, values, self._most)
        self.counts[series] = self.counts.get(series, 0) + 1
        if _better(self.exemplars.get(series), exemplar):
            self.exemplars[series] = exemplar


def limited(known: Mapping[Values, Any], values: Values, most: int) -> Values:
    return values if values in known or len(known) < most else OVERFLOW


def _better(old: Exemplar | None, new: Exemplar) -> bool:
    """The latest, but a success does not push out a refusal of the last minute."""
    return old is None or new.refused or not old.refused or new.at_s - old.at_s > 60


class SpanMetrics:
    """Counts spans; may be counted and read from different threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = _Counters(_CALLS, MAX_CALLS)
        self._sprays = _Counters(_SPRAYS, MAX_SPRAYS)
        self._durations: dict[Values, _Histogram] = {}

    def count(self, spans: Sequence[Span]) -> None:
        """Count the auth spans among the spans."""
        for span in spans:
            if span.name.startswith("auth.") or "auth.result" in span.attributes:
                self._count(span)

    def _count(self, span: Span) -> None:
        attributes = span.attributes
        result = _word(attributes.get("auth.result"), _RESULTS, "unset")
        method = _word(attributes.get("auth.method"), _METHODS, "unset")
        reason = _word(attributes.get("auth.failure_reason"), _REASONS, "none")
        subnet = client_subnet(span)
        service, name = span.service[:_LONGEST_LABEL], span.name[:_LONGEST_LABEL]
        exemplar = Exemplar(
            span.trace_id, span.span_id, span.duration_ns / SECOND, span.end_ns / SECOND, result in ("failure", "error")
        )
        bucket = user_bucket(attributes) if span.name == "auth.login" and result == "failure" else ""
        with self._lock:
            self._calls.add((service, name, result, method, reason, subnet), exemplar)
            self._observe((service, name, result, method), exemplar)
            if bucket:
                self._sprays.add((service, subnet, bucket), exemplar)

    def _observe(self, values: Values, exemplar: Exemplar) -> None:
        series = limited(self._durations, values, MAX_DURATIONS)
        histogram = self._durations.get(series)
        if histogram is None:
            histogram = self._durations[series] = _Histogram()
        place = bisect_left(BOUNDS, exemplar.value)
        histogram.counts[place] += 1
        histogram.sum_s += exemplar.value
        if _better(histogram.exemplars[place], exemplar):
            histogram.exemplars[place] = exemplar

    def exposition(self) -> str:
        """The families as OpenMetrics text, without its closing line."""
        with self._lock:
            return "".join([
                *_counter("otel_security_calls", "Auth checks seen in spans.", self._calls),
                *_counter("otel_security_spray_calls", "Failed log-ins by 1/256 slices of the log-in names.", self._sprays),
                *self._histograms("otel_security_duration_seconds"),
            ])  # fmt: skip

    def _histograms(self, name: str) -> list[str]:
        lines = [f"# TYPE {name} histogram\n# UNIT {name} seconds\n# HELP {name} How long auth checks took.\n"]
        for values, histogram in self._durations.items():
            labels = _labels(_DURATIONS, values)
            total = 0
            for place, bound in enumerate((*BOUNDS, float("inf"))):
                total += histogram.counts[place]
                shown = "+Inf" if place == len(BOUNDS) else _number(bound)
                exemplar = histogram.exemplars[place]
                lines.append(f'{name}_bucket{{{labels},le="{shown}"}} {total}{exemplar.text() if exemplar else ""}\n')
            lines.append(f"{name}_sum{{{labels}}} {_number(histogram.sum_s)}\n")
            lines.append(f"{name}_count{{{labels}}} {total}\n")
        return lines


def _word(value: Any, known: frozenset[str], missing: str) -> str:
    """A word of a closed list; `other` for what is not in it."""
    if value is None or value == "":
        return missing
    return value if isinstance(value, str) and value in known else "other"


def client_subnet(span: Span) -> str:
    """The /24 or /48 the client's address lies in; `unknown` without an address, `other` for what is none."""
    value = next((span.attributes[name] for name in _ADDRESSES if _usable(span, name)), None)
    if value is None:
        return "unknown"
    return _subnet(str(value)[:_LONGEST_LABEL])


@lru_cache(maxsize=10_000)
def _subnet(text: str) -> str:
    port = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((port[1] or port[2]) if port else text)
    except ValueError:
        return "other"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def _usable(span: Span, name: str) -> bool:
    if name == "network.peer.address" and span.kind is SpanKind.CLIENT:
        return False
    return bool(span.attributes.get(name))


def user_bucket(attributes: Mapping[str, Any]) -> str:
    """One of 256 slices of the users, "" where the span names none. A name never leaves it."""
    given = attributes.get(_USER_HASH)
    if isinstance(given, str) and re.match(r"[0-9a-fA-F]{2}", given):
        return given[:2].lower()
    user = next((attributes[name] for name in _USERS if attributes.get(name)), None)
    if user is None:
        return ""
    return hashlib.sha256(str(user).lower().encode()).hexdigest()[:2]


def _counter(name: str, help_: str, counters: _Counters) -> list[str]:
    lines = [f"# TYPE {name} counter\n# HELP {name} {help_}\n"]
    for values, count in counters.counts.items():
        exemplar = counters.exemplars.get(values)
        shown = Exemplar(exemplar.trace_id, exemplar.span_id, 1.0, exemplar.at_s, exemplar.refused).text() if exemplar else ""
        lines.append(f"{name}_total{{{_labels(counters.names, values)}}} {count}{shown}\n")
    return lines


def _labels(names: tuple[str, ...], values: Values) -> str:
    if values == OVERFLOW:
        return 'otel_metric_overflow="true"'
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(float(value))
