"""Many regular expressions asked of one text in a single pass, in time linear in the text.

RE2 reads every pattern: no look-around, no back-references, no pattern that a hostile text can slow down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import re2

from app.analysis.ruletext import RuleError

_LONGEST = 1000
_PAGE = 250  # texts searched at once
_CACHED = 20_000  # texts remembered; hostile input may have any number of them

_OPTIONS = re2.Options()
_OPTIONS.max_mem = 4 << 20
_OPTIONS.log_errors = False


class _Allowance:
    """How much larger the patterns that are being read may still become together."""

    def __init__(self, left: int) -> None:
        self.left = left


_allowance: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def at_most(instructions: int) -> Iterator[None]:
    """Within this block the patterns read may have so many instructions of RE2's program together.

    Linear time is still time per instruction: `.{1000}` is seven characters long and four thousand instructions large.
    """
    token = _allowance.set(_Allowance(instructions))
    try:
        yield
    finally:
        _allowance.reset(token)


def compile(text: str, file: str, line: int) -> Any:
    """One compiled pattern.

    Errors: RuleError where RE2 does not read it, it is longer than 1,000 bytes, or too large beside the others (at_most).
    """
    if len(text.encode()) > _LONGEST:
        raise RuleError(file, line, f"a pattern may have {_LONGEST} bytes; this one has {len(text.encode())}.")
    try:
        pattern = re2.compile(text, _OPTIONS)
    except re2.error as error:
        raise RuleError(file, line, f"the pattern {text[:60]!r} cannot be read: {_words(error)}.") from None
    allowance = _allowance.get()
    if allowance is not None:
        allowance.left -= pattern.programsize
        if allowance.left < 0:
            raise RuleError(file, line, f"with the pattern {text[:60]!r} the patterns are too large together; repeat less.")
    return pattern


def _words(error: Exception) -> str:
    words = error.args[0] if error.args else "not a regular expression"
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)


class PatternSet:
    """Patterns that are searched for together. Shared between threads: its memory only holds what any would compute."""

    def __init__(self, longest: int) -> None:
        self._longest = longest  # of a text; what comes after is not looked at
        self._indexes: dict[str, int] = {}
        self._set: Any = None
        self._any: Any = None
        self._known: dict[str, frozenset[int]] = {}
        self._last = ("", 1)

    def add(self, text: str, file: str, line: int) -> int:
        """The pattern's index; the same text has the same index."""
        compile(text, file, line)
        self._last = (file, line)
        return self._indexes.setdefault(text, len(self._indexes))

    def seal(self) -> None:
        """Compile the set, once all patterns are added.

        Errors: RuleError where they are too large together, at the place of the last.
        """
        options = re2.Options()
        # Too little memory would make the set find nothing instead of failing.
        options.max_mem = 64 << 20
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        try:
            for text in self._indexes:
                self._set.Add(text)
            if self._indexes:
                self._set.Compile()
                # Line by line, ^ and $ mean what they mean for a text alone, so a page without a hit has no text with one.
                self._any = re2.compile("(?m)" + "|".join(f"(?:{text})" for text in self._indexes), options)
        except re2.error as error:
            raise RuleError(*self._last, f"the patterns cannot be compiled together: {_words(error)}.") from None

    def among(self, texts: Sequence[str]) -> dict[int, frozenset[int]]:
        """The texts in which something was found, by place. Most hold nothing, so they are searched a page at a time."""
        found: dict[int, frozenset[int]] = {}
        for first in range(0, len(texts), _PAGE):
            page = texts[first : first + _PAGE]
            if self._any is None or not self._any.search("\n".join(page)):
                continue
            for place, text in enumerate(page, first):
                hits = self.match(text)
                if hits:
                    found[place] = hits
        return found

    def match(self, text: str) -> frozenset[int]:
        """The indexes of the patterns found anywhere in the text."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) > _CACHED:
                self._known.clear()
            hits = self._set.Match(text[: self._longest]) if self._indexes else ()
            found = self._known[text] = frozenset(hits or ())
        return found


class Vocabulary:
    """The pattern sets of one rule book: what spans are called, where they lead, what happened, what went wrong."""

    def __init__(self) -> None:
        self.names = PatternSet(256)
        self.paths = PatternSet(2048)
        self.events = PatternSet(256)
        self.words = PatternSet(16_384)

    def seal(self) -> None:
        for one in (self.names, self.paths, self.events, self.words):
            one.seal()
