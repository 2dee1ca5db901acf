import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from app.times import HOUR, MILLISECOND, SECOND, parse_iso
from app.web import formats

REFUSED = parse_iso("2026-11-21T02:58:41.208375912Z")
_MARK = re.compile(r'<span class="ctl(?: ctl--odd)?" title="[^"<>]*">[^<>]*</span>')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mallory", "mallory"),
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\nb\tc", "a\nb\tc"),
        ("Zoë, Привет, 日本, שלום", "Zoë, Привет, 日本, שלום"),
        ("fi\ufb01", "fi\ufb01"),
        ("x\u202ey", 'x<span class="ctl" title="right-to-left override">U+202E</span>y'),
        ("\x1b[31m", '<span class="ctl" title="escape, begins an ANSI sequence">ESC</span>[31m'),
        ("a\u200bb", 'a<span class="ctl" title="zero width space">U+200B</span>b'),
        ("\x00", '<span class="ctl" title="NUL">U+0000</span>'),
        ("\ud800", '<span class="ctl" title="u+d800">U+D800</span>'),
        ("p\u0430y", 'p<span class="ctl ctl--odd" title="cyrillic small letter a">\u0430</span>y'),
        ("\uff21", '<span class="ctl ctl--odd" title="fullwidth latin capital letter a">\uff21</span>'),
        ("\U0001d41a", '<span class="ctl ctl--odd" title="mathematical bold small a">\U0001d41a</span>'),
    ],
)
def test_visible(text, shown):
    assert formats.visible(text) == shown


@given(st.text(st.characters(codec=None), max_size=300))
def test_visible_is_always_inert_and_hides_nothing(text):
    shown = formats.visible(text)
    assert isinstance(shown, Markup)
    bare = _MARK.sub("", shown)
    assert "<" not in bare
    assert not formats._TRICKS.search(shown)
    # What is not marked is there, in order, escaped.
    marked = sum(1 for _ in _MARK.finditer(shown))
    assert len(Markup(bare).unescape()) == len(text) - marked


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_only_escaped(text):
    assert formats.visible(text, 10_000) == escape(text)


def test_a_long_text_is_cut_and_says_by_how_much():
    shown = formats.visible("x" * 3500, limit=100)
    assert shown == "x" * 100 + '<span class="cut">… 3,400 more characters</span>'
    assert formats.cut("x" * 100) == "x" * 79 + "…"
    assert formats.cut("x" * 80) == "x" * 80


def test_times_are_utc_with_the_digits_asked_for():
    assert formats.clock(REFUSED) == "02:58:41"
    assert formats.clock(REFUSED, 3) == "02:58:41.208"
    assert formats.clock(REFUSED, 9) == "02:58:41.208375912"
    assert formats.moment(REFUSED, 3) == "21 Nov, 02:58:41.208"
    assert formats.full_time(REFUSED) == "2026-11-21 02:58:41.208 UTC"
    assert formats.machine_time(REFUSED) == "2026-11-21T02:58:41.208375912Z"
    assert parse_iso(formats.machine_time(REFUSED)) == REFUSED


@pytest.mark.parametrize("ns", [0, -(10**30), 10**30])
def test_a_time_beyond_the_calendar_is_clamped_and_not_a_crash(ns):
    assert formats.full_time(ns).endswith(" UTC")
    assert formats.machine_time(ns).endswith("Z")


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (0, "just now"), (-5 * SECOND, "just now"), (999 * MILLISECOND, "just now"), (12 * SECOND + 5, "12 s ago"),
        (90 * SECOND, "1 min 30 s ago"), (26 * HOUR, "1 d 2 h ago"),
    ],
)  # fmt: skip
def test_ago(past, words):
    assert formats.ago(REFUSED, REFUSED + past) == words


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_400, "12.4 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (41_200_000, "41.2 MB"), (5 * 10**15, "5000.0 TB"),
    ],
)  # fmt: skip
def test_size(n, words):
    assert formats.size(n) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.75, "0.75"), (148.0, "148"), (1243.4, "1,243"), (-3.25, "−3.25"), (0.000123, "0.000123"), (1e9, "1,000,000,000"),
        (float("nan"), "not a number"), (float("inf"), "+∞"), (float("-inf"), "−∞"), (0.0, "0"),
    ],
)  # fmt: skip
def test_figure(value, words):
    assert formats.figure(value) == words


def test_counts_are_grouped():
    assert formats.count(1243) == "1,243"
