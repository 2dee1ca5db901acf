"""Sentences with the names in them set apart: what telemetry wrote is shown in mono, what Clew says is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST_NAME = 120


@dataclass(frozen=True)
class Part:
    text: str
    is_name: bool = False


def told(sentence: str, names: Iterable[str]) -> tuple[Part, ...]:
    """The sentence in parts, every whole occurrence of a name a part of its own.

    A name inside a longer word is left alone: `id` is not set apart in `idle`.
    """
    known = sorted({name for name in names if 0 < len(name) <= _LONGEST_NAME}, key=len, reverse=True)[:60]
    if not known:
        return (Part(sentence),)
    # Literal names only, and no repetition in the pattern: linear in the sentence.
    pattern = re.compile(r"(?<![\w.-])(?:" + "|".join(map(re.escape, known)) + r")(?![\w-]|\.\w)")
    parts: list[Part] = []
    position = 0
    for match in pattern.finditer(sentence):
        if match.start() > position:
            parts.append(Part(sentence[position : match.start()]))
        parts.append(Part(match[0], is_name=True))
        position = match.end()
    if position < len(sentence):
        parts.append(Part(sentence[position:]))
    return tuple(parts)
