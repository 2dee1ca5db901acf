"""House rules of the database, checked and compiled: what may be kept, and what is in force together.

Pure: texts in, rule book out. Whatever a text says, reading it takes bounded time and memory.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from app.analysis import patterns, rulebook
from app.analysis.rulebook import RuleBook, RuleError, RuleText
from app.errors import InvalidInput

MOST_BYTES = 64 * 1024
MOST_TEXTS = 100
MOST_RULES = 500  # in force together: each is held against every kind of span
# Instructions of RE2's program, of all patterns of the database together. The shipped ones have about 9,000.
MOST_INSTRUCTIONS = 50_000
_NAME = re.compile(r"[^\W_][\w. -]{0,79}")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # what a database or UTF-8 cannot hold


class Skipped(msgspec.Struct, frozen=True):
    """A text that is enabled and cannot be used, with its line and the reason; the others are in force without it."""

    document: str
    name: str
    line: int
    why: str


class Compiled(msgspec.Struct, frozen=True):
    """The rules in force, and what had to be left out of them."""

    book: RuleBook
    skipped: tuple[Skipped, ...] = ()


def name_of(text: str) -> str:
    """The name as it is kept. Errors: InvalidInput."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not name:
        raise InvalidInput("The name is missing.", field="name")
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "A name begins with a letter or digit and has at most 80 letters, digits, spaces and . _ - only.", field="name"
        )
    return name


def name_from(text: str) -> str:
    """A name made of any text, to begin with."""
    return re.sub(r"[^\w. -]+", "-", text).strip("-._ ")[:80]


def text_of(text: str) -> str:
    """The rules as they are kept: as written, with the line ends of browsers made plain.

    Errors: InvalidInput with the figures.
    """
    plain = _NO_TEXT.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    if not plain.strip():
        raise InvalidInput("There is no text.", field="text")
    size = len(plain.encode())
    if size > MOST_BYTES:
        raise InvalidInput(f"The text has {size:,} bytes; at most {MOST_BYTES:,} are kept.", field="text")
    return plain


def checked(text: RuleText, *, beside: Sequence[RuleText] = ()) -> RuleBook:
    """The rules of one text, fit to be in force beside other texts of the database.

    Errors: RuleError with its line: what it says itself, an id that another text gives, too much together.
    """
    own = _within_bounds([text])
    if not own.rules:
        raise RuleError(text.file, 1, "there is no rule in it.")
    if beside:
        _within_bounds([*beside, text])
    return own


def compiled(files: Sequence[RuleText], documents: Sequence[RuleText]) -> Compiled:
    """The rules in force: the database's before the files', and those before the shipped ones.

    A text of the database that was sound when it was saved and is not any more, as after an update, is left out.
    Errors: RuleError for a file, which is the settings' own affair.
    """
    kept, skipped = list(documents), list[Skipped]()
    while (error := _wrong(kept)) is not None:
        place = next(place for place, one in enumerate(kept) if one.file == error.file)  # names are given once
        skipped.append(_skipped(kept.pop(place), error))
    while True:
        try:
            return Compiled(rulebook.layered([kept, files]), tuple(skipped))
        except RuleError as too_much:
            # Beside the shipped rules, that is; whatever is wrong with a file alone stays wrong without them.
            if not kept:
                raise
            skipped.append(_skipped(kept.pop(), too_much))


def _wrong(texts: Sequence[RuleText]) -> RuleError | None:
    try:
        _within_bounds(texts)
    except RuleError as error:
        return error
    return None


def _within_bounds(texts: Sequence[RuleText]) -> RuleBook:
    with patterns.at_most(MOST_INSTRUCTIONS):
        found = rulebook.only(texts)
    if len(found) > MOST_RULES:
        rule = found.rules[MOST_RULES]
        raise RuleError(rule.file, rule.line, f"with this rule there are more than {MOST_RULES:,} in the database.")
    return found


def _skipped(document: RuleText, error: RuleError) -> Skipped:
    return Skipped(document.document, document.file, error.line, error.words)
