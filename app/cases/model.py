"""The words of a case: its states, severities and markings, the numbers people call things by, and what they may type."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

from app.errors import InvalidInput, NotFound
from app.times import UnixNanos, parse_iso


class Status(enum.StrEnum):
    OPEN = "open"
    CONTAINED = "contained"
    CLOSED = "closed"


class Severity(enum.StrEnum):
    """The words that alerting rules use, worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Tlp(enum.StrEnum):
    """Traffic Light Protocol 2.0: whom the case may be told to, strictest first. Source: FIRST, TLP 2.0."""

    RED = "TLP:RED"
    AMBER_STRICT = "TLP:AMBER+STRICT"
    AMBER = "TLP:AMBER"
    GREEN = "TLP:GREEN"
    CLEAR = "TLP:CLEAR"


class Format(enum.StrEnum):
    """The files that a timeline can be given out as."""

    CSV = "csv"
    JSONL = "jsonl"
    TIMESKETCH_CSV = "timesketch-csv"


MAX_TITLE = 200
MAX_SUMMARY = 20_000
MAX_DETAIL = 20_000
MAX_TAGS = 30
MAX_TAG = 60

_CASE_NAME = re.compile(r"(?:CASE-)?0*([1-9]\d{0,8})", re.ASCII | re.IGNORECASE)
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL stores neither, UTF-8 cannot encode the second


def case_name(number: int) -> str:
    """What people call a case: CASE-0042."""
    return f"CASE-{number:04d}"


def case_number(name: str) -> int:
    """The number in `CASE-0042` or `42`. Errors: NotFound, because a malformed name is the name of no case."""
    match = _CASE_NAME.fullmatch(name)
    if not match:
        raise NotFound("There is no such case.")
    return int(match[1])


def evidence_name(number: int) -> str:
    return f"E{number}"


def note_name(number: int) -> str:
    return f"N{number}"


def storable(text: str) -> str:
    """Text that both databases and UTF-8 can hold; what they cannot becomes U+FFFD, so that the place stays visible."""
    return _NO_TEXT.sub("\ufffd", text)


def line(text: str, *, field: str, most: int, called: str, least: int = 0) -> str:
    """One line that a person typed: white space folded, length checked.

    Errors: InvalidInput names the field and the limit.
    """
    folded = " ".join(storable(text).split())
    if len(folded) < least:
        raise InvalidInput(f"{called} is missing.", field=field)
    if len(folded) > most:
        raise InvalidInput(f"{called} has {len(folded):,} characters; at most {most:,} are kept.", field=field)
    return folded


def prose(text: str, *, field: str, most: int, called: str) -> str:
    """Several lines that a person typed, with the line ends of browsers made plain. Errors: InvalidInput."""
    plain = storable(text).replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(plain) > most:
        raise InvalidInput(f"{called} has {len(plain):,} characters; at most {most:,} are kept.", field=field)
    return plain


def tags(given: Iterable[str]) -> tuple[str, ...]:
    """Tags without doubles, in the order given. Errors: InvalidInput for too many or too long ones."""
    kept = dict.fromkeys(folded for tag in given if (folded := line(tag, field="tags", most=MAX_TAG, called="A tag")))
    if len(kept) > MAX_TAGS:
        raise InvalidInput(f"{len(kept)} tags were given; at most {MAX_TAGS} are kept.", field="tags")
    return tuple(kept)


def moment(text: str, *, field: str = "occurred") -> UnixNanos:
    """A time that a person typed: RFC 3339, or without an offset, which then means UTC; seconds may be left out.

    Errors: InvalidInput.
    """
    text = text.strip().removesuffix("UTC").strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", text):
        text += ":00"
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?", text):
        text += "Z"
    try:
        ns = parse_iso(text)
    except InvalidInput as error:
        raise InvalidInput(error.sentence, field=field) from None
    if not -(2**63) <= ns < 2**63:
        raise InvalidInput("The year must lie between 1678 and 2261.", field=field)
    return ns
