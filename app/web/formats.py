"""Values to readable text: times, durations, sizes, counts, ids, and text from telemetry with its tricks made visible.

Available in templates as filters of the same names.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from markupsafe import Markup, escape

from app.times import SECOND, format_duration, to_datetime

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# Characters that change how their neighbours read, or cannot be seen: controls, direction, zero width, tags, surrogates.
_TRICKS = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 without tab and newline; ESC begins the ANSI sequences
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
    "]"
)
_WORD = re.compile(r"[^\W\d_]+")
# Scripts with letters that look Latin. A word that mixes them with Latin is meant to be misread.
_LOOKALIKE = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_NAMES = {0x1B: "escape, begins an ANSI sequence", 0x00: "NUL", 0x0D: "carriage return", 0x7F: "delete"}


def visible(text: object, limit: int = 2000, marks: int = 500) -> Markup:
    """Text from telemetry as safe markup: escaped, capped, invisible and look-alike characters marked.

    Each mark is `<span class="ctl">` with the character's code, its name in the title; the caller keeps the raw value.
    After `marks` of them the codes stand as plain text, so that a hostile value cannot blow up a page of many rows.
    """
    whole = str(text)
    shown = whole[:limit]
    marked = escape(shown) if _is_plain(shown) else _marked(shown, marks)
    if len(whole) > limit:
        marked += Markup('<span class="cut">… {} more characters</span>').format(count(len(whole) - limit))
    return marked


def has_tricks(text: str) -> bool:
    """Whether `visible` would mark something: what is read then differs from what was sent."""
    return not _is_plain(text) and "<span" in _marked(text[:100_000], 1)


def flat(text: object, limit: int = 200) -> str:
    """The same text for places that hold no markup (a title, a picture's label): tricks as codes in brackets, capped."""
    whole = str(text)
    return cut(_coded(whole[: limit + 1]), limit)


def cut(text: object, limit: int = 80) -> str:
    """At most `limit` characters; the whole belongs into a title beside it."""
    whole = str(text)
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def day(ns: int) -> str:
    """21 Nov"""
    moment = to_datetime(ns)
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def clock(ns: int, digits: int = 0) -> str:
    """02:58:41, with up to nine digits of a fraction: 02:58:41.208"""
    fraction = f".{ns % SECOND:09d}"[: digits + 1] if digits else ""
    return to_datetime(ns).strftime("%H:%M:%S") + fraction


def moment(ns: int, digits: int = 0) -> str:
    """21 Nov, 02:58:41"""
    return f"{day(ns)}, {clock(ns, digits)}"


def full_time(ns: int, digits: int = 3) -> str:
    """2026-11-21 02:58:41.208 UTC"""
    at = to_datetime(ns)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d} {clock(ns, digits)} UTC"


def machine_time(ns: int, digits: int = 9) -> str:
    """The value of a <time datetime>: 2026-11-21T02:58:41.208000000Z"""
    at = to_datetime(ns)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{clock(ns, digits)}Z"


def duration(ns: int) -> str:
    """148.2 ms"""
    return format_duration(ns)


def ago(ns: int, now_ns: int) -> str:
    """12 s ago; what lies ahead of the clock is "just now", since clocks differ."""
    past = now_ns - ns
    return "just now" if past < SECOND else f"{format_duration(past // SECOND * SECOND).replace('.0 ', ' ')} ago"


def size(n: int) -> str:
    """12.4 kB: powers of a thousand, as files are counted."""
    if n < 1000:
        return f"{n} B"
    amount = float(n)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.95 or unit == "TB":
            break
    return f"{amount:.1f} {unit}"


def count(n: int) -> str:
    """1,243"""
    return f"{n:,}"


def figure(value: float) -> str:
    """A measured value in at most four significant digits: 0.75, 148, 1,243"""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "not a number", "inf": "+∞", "-inf": "−∞"}[str(value)]
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def short_id(text: str, digits: int = 8) -> str:
    """The first digits of a trace id or hash, as people name them."""
    return text if len(text) <= digits else text[:digits]


def _is_plain(text: str) -> bool:
    return text.isascii() and not _TRICKS.search(text)


def _marked(text: str, most: int) -> Markup:
    masks = {position for word in _WORD.finditer(text) for position in _masked_letters(word)} if not text.isascii() else set()
    parts: list[Markup] = []
    plain_from = 0
    for position, char in enumerate(text):
        if len(parts) >= 2 * most:
            return Markup("").join([*parts, escape(_coded(text[plain_from:]))])
        if position in masks:
            mark = Markup('<span class="ctl ctl--odd" title="{}">{}</span>').format(_name(char), char)
        elif _TRICKS.match(char):
            mark = Markup('<span class="ctl" title="{}">{}</span>').format(_name(char), _code(char))
        else:
            continue
        parts += [escape(text[plain_from:position]), mark]
        plain_from = position + 1
    return Markup("").join([*parts, escape(text[plain_from:])])


def _coded(text: str) -> str:
    return _TRICKS.sub(lambda char: f"[{_code(char[0])}]", text)


def _masked_letters(word: re.Match[str]) -> list[int]:
    """Positions of letters that dress up as ASCII ones in a word that has ASCII letters too, or are styled forms of them."""
    letters = word[0]
    if letters.isascii():
        return []
    mixed = any(letter.isascii() for letter in letters)
    return [
        word.start() + offset
        for offset, letter in enumerate(letters)
        if not letter.isascii() and (_is_styled_ascii(letter) or (mixed and _script(letter) in _LOOKALIKE))
    ]


@lru_cache(4096)
def _is_styled_ascii(letter: str) -> bool:
    # Fullwidth, mathematical and circled letters: NFKC gives the plain one. Ligatures such as ﬁ give two and are left.
    plain = unicodedata.normalize("NFKC", letter)
    return len(plain) == 1 and plain.isascii() and not unicodedata.name(letter, "").startswith("LATIN SMALL LETTER LONG")


@lru_cache(4096)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _name(char: str) -> str:
    code = ord(char)
    return _NAMES.get(code) or unicodedata.name(char, f"U+{code:04X}").lower()


def _code(char: str) -> str:
    code = ord(char)
    if code == 0x1B:
        return "ESC"
    return f"U+{code:04X}"


FILTERS = {
    function.__name__: function
    for function in (
        visible, flat, cut, day, clock, moment, full_time, machine_time, duration, ago, size, count, figure, short_id,
    )
}  # fmt: skip
