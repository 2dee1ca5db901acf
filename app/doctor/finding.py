"""What the doctor finds: one thing that makes Clew's verdicts or alerts less true, how bad it is, and what mends it."""

from __future__ import annotations

import enum
import json
import shlex
from collections.abc import Iterable
from typing import Literal

import msgspec

MOST_EVIDENCE = 5


class Area(enum.StrEnum):
    """What a check looks at, in the order in which to mend: nothing below is known while something above is broken."""

    CONNECTION = "connection"
    PIPELINE = "pipeline"
    SAMPLING = "sampling"
    COVERAGE = "coverage"
    CARDINALITY = "cardinality"
    PRIVACY = "privacy"
    RETENTION = "retention"


class Severity(enum.StrEnum):
    """How bad, worst first.

    broken:  what Clew shows now is wrong or empty because of it: an attack could pass unseen
    harmful: verdicts, counts or evidence are lost for some requests, or secrets are stored
    weak:    verdicts are right but less sure or less useful than they could be
    note:    worth knowing; nothing has to be done
    """

    BROKEN = "broken"
    HARMFUL = "harmful"
    WEAK = "weak"
    NOTE = "note"


SEVERITIES = tuple(Severity)

Language = Literal["", "yaml", "toml", "shell", "python", "promql", "traceql"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found.

    check:    stable id of the check, such as "coverage.propagation_in"
    subject:  the service, source, metric or attribute it is about
    title:    one plain sentence
    detail:   what it does to verdicts, and what it was read from; telemetry in it is capped, secrets are never in it
    measured: a number with its unit, such as "38 of 120 traces"
    evidence: ids of traces that show it, at most five
    remedy:   what to do, one sentence; `paste` are lines of configuration, "" where there are none; names are quoted
    docs:     where docs/ explain it, such as "doctor.md#coverage-propagation_in"
    """

    check: str
    area: Area
    severity: Severity
    subject: str
    title: str
    detail: str = ""
    measured: str = ""
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    paste: str = ""
    paste_language: Language = ""
    docs: str = ""


def found(
    check: str,
    severity: Severity,
    subject: str,
    title: str,
    *,
    detail: str = "",
    measured: str = "",
    evidence: Iterable[str] = (),
    remedy: str = "",
    paste: str = "",
    language: Language = "yaml",
) -> Finding:
    """A finding of the check's own area, with the first of its evidence. language: of `paste`."""
    return Finding(
        check=check,
        area=Area(check.partition(".")[0]),
        severity=severity,
        subject=subject,
        title=title,
        detail=detail,
        measured=measured,
        evidence=tuple(dict.fromkeys(evidence))[:MOST_EVIDENCE],
        remedy=remedy,
        paste=paste,
        paste_language=language if paste else "",
        docs=anchor(check),
    )


class Unknown(msgspec.Struct, frozen=True):
    """A check that could not be made, and why: a sentence. Never to be read as "fine"."""

    check: str
    why: str


class Off(msgspec.Struct, frozen=True):
    """A check that does not apply to this house, and why: a sentence. It has no part in the score."""

    check: str
    why: str


def for_shell(text: str) -> str:
    """A name from telemetry as one harmless word of a shell: what is offered for pasting will be pasted."""
    return shlex.quote(_printable(text))


def for_yaml(text: str) -> str:
    """A name from telemetry as one YAML string."""
    return json.dumps(_printable(text), ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def anchor(check: str) -> str:
    """Where the documentation explains a check."""
    return f"doctor.md#{check.replace('.', '-')}"
