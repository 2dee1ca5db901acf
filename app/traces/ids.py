"""Trace ids as people and programs write them: with or without leading zeros, in any case."""

from __future__ import annotations

import re

from app.errors import InvalidInput

_HEX = re.compile(r"[0-9a-fA-F]{1,32}", re.ASCII)


def trace_id(text: str) -> str:
    """32 lower-case hex digits from 1 to 32 of them; Tempo's search, its exemplars and some SDKs drop leading zeros.

    Errors: InvalidInput where it is no such id, or all zeros, which the specification calls invalid.
    """
    text = text.strip()
    if not _HEX.fullmatch(text):
        raise InvalidInput(f"{text[:40]!r} is not a trace id: 1 to 32 hexadecimal digits.", field="trace_id")
    if not text.strip("0"):
        raise InvalidInput("A trace id of zeros alone is not valid.", field="trace_id")
    return text.lower().zfill(32)
