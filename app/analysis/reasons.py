"""Why it was refused: a stable code for a system's own words, and the same for everybody."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import re2

from app.analysis import rulebook, ruletext
from app.analysis.verdict import Phase

_LONGEST = 500
_LOOKED_AT = 2000


class Reason(msgspec.Struct, frozen=True):
    """A kind of reason. `means` is the end of a sentence; `phase` is None where the words fit both."""

    code: str
    phase: Phase | None
    means: str


@functools.cache
def _patterns() -> tuple[tuple[Any, Reason], ...]:
    raw = ruletext.load(rulebook.data("reasons.yaml"), "reasons.yaml")
    return tuple(
        (re2.compile(item["pattern"]), Reason(item["code"], Phase(item["phase"]) if "phase" in item else None, item["means"]))
        for item in raw["reasons"]
    )


@functools.lru_cache(maxsize=4096)
def _of(text: str) -> Reason | None:
    # Codes are often written with underscores, class names and details without blanks: both are read as words, too.
    for pattern, reason in _patterns():
        if pattern.search(text):
            return reason
    return None


def of(text: str) -> Reason | None:
    """The kind of reason that the words give; None where they fit none."""
    text = text[:_LOOKED_AT].strip()
    return _of(text) if text else None


def codes() -> tuple[str, ...]:
    """All codes, in the order in which they are tried."""
    return tuple(reason.code for _, reason in _patterns())


_GRPC_DETAILS = re2.compile(r'details = "((?:[^"\\]|\\.)*)"')
_GRPC_PREFIX = re2.compile(r"^\d{1,2} [A-Z_]{2,24}: ")
# Echo's errors: the inner one where the outer only says the status again.
_ECHO = re2.compile(r"^code=\d{3}, message=(.*?)(?:, internal=(.*))?$")
_STATUS_WORDS = frozenset({"unauthorized", "forbidden", "bad request", "not found", "too many requests"})
_GO_PREFIX = re2.compile(r"^rpc error: code = \w+ desc = ")


def plain(text: str) -> str:
    """A system's own words, without what its instrumentation wrapped around them, at most 500 characters."""
    text = text[:_LOOKED_AT].strip()
    details = _GRPC_DETAILS.search(text)
    if details:
        text = str(details.group(1))
    echo = _ECHO.search(text)
    if echo:
        said, inner = str(echo.group(1)), echo.group(2)
        text = str(inner) if inner and said.lower() in _STATUS_WORDS else said
    for prefix in (_GRPC_PREFIX, _GO_PREFIX):
        found = prefix.search(text)
        if found:
            text = text[found.end() :]
    return text.strip()[:_LONGEST]
