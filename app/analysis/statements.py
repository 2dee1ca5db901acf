"""What a signal rests on, in the system's own words: its reason, its phase, the attribute a person can look up."""

from __future__ import annotations

import re2

from app.analysis import answers, reasons
from app.analysis.reading import Reading
from app.analysis.signals import Signal
from app.analysis.verdict import Phase
from app.traces import semconv
from app.traces.model import Node, Span, SpanKind

# Where words usually stand, most telling first; a rule's own list goes before these.
_REASONS = ("auth.failure_reason", "authz.reason", "authn.reason", "auth.reason", "authz.deny_reason", "policy.reason",
            "access.reason", "error.reason", "kc.eventError", "ErrorReason", "grpc.error_message", "error.message",
            "grpc.message", "deny.reason", "denial.reason", "echo.error", "reason")  # fmt: skip
_HEADERS = ("http.response.header.www-authenticate", "http.response.header.x-error", "http.response.header.x-amzn-errortype")
_TEMPLATE = re2.compile(r"\{([^{}]+)\}")
_EMPTY_EXCEPTIONS = ("Locally aborted.", "None", "")
# Classes that say nothing of why: Python's gRPC raises the latter to end a call that it refused.
_EMPTY_CLASSES = ("Exception", "cygrpc.AbortError")


def reason_text(reading: Reading, node: Node, signal: Signal | None) -> str:
    """The system's own words for why; "" where it gave none."""
    return reason_at(reading, node, signal)[0]


def reason_at(reading: Reading, node: Node, signal: Signal | None) -> tuple[str, str]:
    """The words and the attribute they stand in."""
    span = node.span
    if signal is not None:
        for item in signal.rule.reason_from:
            found = _without_class(span, _from(reading, node, signal, item))
            if found:
                return reasons.plain(found), item if "{" not in item else ""
    for key in _REASONS:
        found = semconv.text(span.attributes.get(key)) if key in span.attributes else ""
        if not found and span.events:
            found = next((t for e in span.events if (t := semconv.text(e.attributes.get(key)))), "")
        if found:
            return reasons.plain(found), key
    for kind, message in semconv.exceptions(span):
        if message not in _EMPTY_EXCEPTIONS:
            return reasons.plain(message), semconv.EXCEPTION_MESSAGE
        if kind and not kind.endswith(_EMPTY_CLASSES):
            return kind[:200], semconv.EXCEPTION_TYPE
    if said := _without_class(span, span.status_message):
        return reasons.plain(said), "status.message"
    for key in _HEADERS:
        found = semconv.text(span.attributes.get(key))
        if found:
            return reasons.plain(found), key
    return "", ""


def _without_class(span: Span, text: str) -> str:
    """Words without the exception's class that Python's instrumentations write before them."""
    head, colon, rest = text.partition(":")
    if not colon or not head.isidentifier() or not (span.events or "error.type" in span.attributes):
        return text
    classes = {kind.rpartition(".")[2] for kind, _ in semconv.exceptions(span)}
    classes.add(semconv.text(span.attributes.get("error.type")).rpartition(".")[2])
    return rest.strip() if head in classes else text


def _from(reading: Reading, node: Node, signal: Signal, item: str) -> str:
    span = node.span
    if item == "status.message":
        return span.status_message
    if item == "exception.message":
        return next((m for _, m in semconv.exceptions(span) if m not in _EMPTY_EXCEPTIONS), "")
    if item == "exception.type":
        return next((k for k, _ in semconv.exceptions(span) if k), "")
    if item == "span.name":
        return span.name
    if item == "capture":
        return _captured(reading, node, signal)
    if "{" in item:
        return _filled(item, span)
    value: object = span.attributes.get(item)
    if value is None and item in semconv.ALIASES:
        value = semconv.first(span.attributes, semconv.ALIASES[item])
    if value is None:
        for event in span.events:
            if item in event.attributes:
                value = event.attributes[item]
                break
    return ", ".join(semconv.text(v) for v in value[:8]) if isinstance(value, list) else semconv.text(value)


def _filled(template: str, span: Span) -> str:
    """The template with attributes in place of {names}; "" where one is missing."""
    missing = False
    out = template
    for key in [m.group(1) for m in _TEMPLATE.finditer(template)]:
        found = semconv.text(span.attributes.get(key))[:200]
        missing = missing or not found
        out = out.replace("{" + key + "}", found)
    return "" if missing else out


def _captured(reading: Reading, node: Node, signal: Signal) -> str:
    capture = signal.rule.capture
    if capture is None:
        return ""
    attributes = node.span.attributes
    for value in (*(attributes[key] for key in attributes if not semconv.is_clients(key)), reading.trouble(node)):
        if isinstance(value, str):
            found = capture.search(value[:4096])
            if found:
                named = found.groupdict()
                return str(next(iter(named.values()), None) or found.group(0))
    return ""


def caller_words(reading: Reading, node: Node) -> tuple[str, str]:
    """What a caller was told: the best place for a gRPC reason that the server span leaves out, also across a proxy."""
    code = semconv.grpc_status(node.span)
    above = reading.parent(node)
    for _ in range(8):
        if above is None:
            break
        span = above.span
        if span.kind is SpanKind.SERVER and (code is None or semconv.grpc_status(span) != code):
            break
        if span.kind in (SpanKind.SERVER, SpanKind.CLIENT):
            for key in ("grpc.error_message", "grpc.message"):
                if key in span.attributes:
                    return reasons.plain(semconv.text(span.attributes[key])), key
            if span.status_message:
                return reasons.plain(span.status_message), "status.message"
            found = next((m for _, m in semconv.exceptions(span) if m not in _EMPTY_EXCEPTIONS), "")
            if found:
                return reasons.plain(found), semconv.EXCEPTION_MESSAGE
        above = reading.parent(above)
    return "", ""


def phase(signal: Signal) -> Phase:
    """The phase a signal's own rule and span give it. The words of the reason may outrank it, see `phase_of`."""
    name = signal.node.span.name.lower()
    if signal.rule.id == "generic.hand-written.variants":
        keys = " ".join(signal.hit.keys)
        if signal.hit.condition.phase is None and (
            any(word in name for word in _AUTHN_NAMES) or keys.startswith(("authn", "authentication"))
        ):
            return Phase.AUTHN
    if signal.rule.id == "oathkeeper.pipeline":
        return Phase.AUTHN if ".authn." in name else Phase.AUTHZ
    if signal.rule.id == "zitadel.span" and "/api/authz." in name:
        return Phase.AUTHZ
    if signal.rule.id == "kong.plugin-authz" and name.endswith(".acl") and _asked_who(signal):
        return Phase.AUTHN
    if signal.says == "guard" and signal.evidence == "structure" and signal.hit.condition.phase is None:
        return _guards_phase(signal)
    return signal.phase


GUARD_NAMES = ("express.name", "router.name", "koa.name", "hook.callback.name")


def _guards_phase(signal: Signal) -> Phase:
    """What a guard known by its place looked at: its name says so, else the status that its hop answered."""
    name = (semconv.first_text(signal.node.span.attributes, GUARD_NAMES) or signal.node.span.name).lower()
    if signal.phase is Phase.AUTHN and not any(word in name for word in (*_AUTHN_NAMES, "passport", "bearer")):
        here = signal.node.parent
        for _ in range(16):
            if here is None or here.span.kind is SpanKind.SERVER:
                break
            here = here.parent
        if here is not None and answers.asks_who(here.span) is False:
            return Phase.AUTHZ
    return signal.phase


_AUTHN_NAMES = ("login", "log_in", "signin", "token", "session", "authenticate", "authentication", "authn", "mfa", "password",
                "otp", "jwt", "api_key", "apikey", "credential", "introspect")  # fmt: skip


def _asked_who(signal: Signal) -> bool:
    parent = signal.node.parent
    return parent is not None and answers.asks_who(parent.span) is True


def phase_of(signal: Signal | None, node: Node, reason: str) -> Phase:
    """Identity or permission: the reason outranks the rule, the rule outranks the status."""
    known = reasons.of(reason)
    if signal is not None and not signal.is_store:
        if known is not None and known.phase is not None and signal.evidence != "code":
            return known.phase
        return phase(signal)
    if signal is not None:
        return signal.phase
    if known is not None and known.phase is not None:
        return known.phase
    asked = answers.asks_who(node.span)
    return Phase.AUTHN if asked or (asked is None and _sent_to_login(node)) else Phase.AUTHZ


def _sent_to_login(node: Node) -> bool:
    """Whether the span answered with a redirect to a log-in page."""
    return answers.answer(node.span) is answers.Answer.LOGIN


def ground(reading: Reading, node: Node, signal: Signal | None) -> tuple[str, str]:
    """The attribute, and its value, that the span's part in the verdict rests on."""
    span = node.span
    if signal is not None:
        for key in signal.hit.keys:
            return key, semconv.text(span.attributes[key])
        for key in _GROUNDS:
            value = semconv.text(span.attributes.get(key))
            if value:
                return key, value
        for event in span.events:
            for key in ("kc.eventError", "ErrorReason", "Reason"):
                if key in event.attributes:
                    return f"event {event.name}: {key}", semconv.text(event.attributes[key])
        for kind, _message in semconv.exceptions(span):
            if kind and signal.hit.condition.evidence in ("explicit", "code", "structure") and signal.rule.says != "guard":
                return semconv.EXCEPTION_TYPE, kind
    status = _status_key(span)
    if status:
        return status
    if said := span.status_message.strip().rstrip(":"):
        return "status.message", said
    if span.events:
        return "event", span.events[0].name
    return "span.name", span.name


_GROUNDS = ("auth.result", "ext_authz_status", "ratelimit_status", "allowed", "spring.security.authorization.decision",
            "authentication.failure.type", "oathkeeper.verdict", "result.allow", "cedar.decision", "permit.decision",
            "apisix.response_source", "response_code_details", "db.response.status_code", "pgx.sql_state", "error.type",
            "express.name", "koa.name", "hook.callback.name", "router.name", "grpc_code", "response_flags")  # fmt: skip


def _status_key(span: Span) -> tuple[str, str] | None:
    for key in ("rpc.response.status_code", "rpc.grpc.status_code", "rpc.status_code", "grpc.status_code"):
        value = semconv.text(span.attributes.get(key))
        if value and value not in ("0", "OK"):
            return key, value
    for key in semconv.HTTP_STATUS:
        value = semconv.text(span.attributes.get(key))
        if value:
            return key, value
    return None
