from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cases import notes
from app.cases.notes import MAX_BYTES, Known
from app.errors import InvalidInput

TRACE = "9088011a4b5c4d0e9f00112233445566"
KNOWN = Known("CASE-0001", {3: "denied", 4: ""}, {TRACE: "bypassed"})

ALLOWED = {
    "p": set(), "br": set(), "hr": set(), "h3": set(), "h4": set(), "h5": set(), "h6": set(), "strong": set(), "em": set(),
    "s": set(), "b": {"class"}, "code": set(), "pre": set(), "blockquote": set(), "ul": set(), "ol": {"start"}, "li": set(),
    "table": set(), "thead": set(), "tbody": set(), "tr": set(), "th": set(), "td": set(),
    "a": {"href", "rel", "class", "data-verdict"}, "span": {"class"},
}  # fmt: skip


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    elements.close()
    return elements


def assert_safe(html: str) -> None:
    for tag, attributes in parsed(html).found:
        assert tag in ALLOWED, (tag, html)
        assert attributes.keys() <= ALLOWED[tag], (tag, attributes)
        if tag == "a" and "href" in attributes:
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert re.match(
                r"https?://|/traces/[0-9a-f]{32}$|/cases/CASE-[0-9]{4,}(/evidence/[0-9]+)?$", attributes["href"] or ""
            )
    assert "<!--" not in html


def links(html: str) -> list[str | None]:
    return [attributes.get("href") for tag, attributes in parsed(html).found if tag == "a"]


def test_markdown_is_read():
    html = notes.render(
        "# Two got in\n\n*one* and **two**\n\n- a\n- b\n\n> said\n\n`x`\n\n| a | b |\n|---|---|\n| 1 | 2 |", KNOWN
    )
    tags = [tag for tag, _ in parsed(html).found]
    assert tags[:5] == ["h3", "p", "em", "strong", "ul"]
    assert {"li", "blockquote", "code", "table", "th", "td"} <= set(tags)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "[a](data:text/html,x)",
        "[a](vbscript:x)", "![x](http://evil/p.png)", "<a href='javascript:1'>x</a>", "[a]: javascript:1\n\n[a]",
        "<div hx-get='/x' hx-trigger='load'>", "<svg onload=alert(1)>", "[x](http://a onclick=alert(1))", "{{7*7}}",
        "`<script>`", "```html\"><script>\n<b>\n```", "[<b>x</b>](//evil)", "[x](\\\\evil)", "<!-- x -->", "&lt;script&gt;",
        "[x](JaVaScRiPt:1)", "[x](&#106;avascript:1)", "http://a\"onmouseover=\"x", "[x](/logout)",
        "<b class=ref>x</b>", "<http://a\" onclick=x>",
    ],
)  # fmt: skip
def test_nothing_in_a_note_comes_alive(text):
    html = notes.render(text, KNOWN)
    assert_safe(html)
    assert "<img" not in html
    assert "<script" not in html


def test_an_image_becomes_a_link_and_is_not_loaded():
    html = notes.render("![plan](https://host/plan.png)", KNOWN)
    assert "<img" not in html
    assert links(html) == ["https://host/plan.png"]


def test_a_trace_id_becomes_a_chip_with_its_verdict_as_a_word():
    html = notes.render(f"See {TRACE.upper()}.", KNOWN)
    assert links(html) == [f"/traces/{TRACE}"]
    assert 'data-verdict="bypassed"' in html
    assert "trace 9088011a bypassed" in parsed(html).text


def test_case_and_evidence_become_chips():
    html = notes.render("CASE-7 and E3 and E-4, not E9, not AE3, not E33x", KNOWN)
    assert links(html) == ["/cases/CASE-0007", "/cases/CASE-0001/evidence/3", "/cases/CASE-0001/evidence/4"]


@pytest.mark.parametrize("text", [f"`{TRACE}`", f"[{TRACE}](http://a)", f"http://tempo/{TRACE}", TRACE + "0", "x" + TRACE])
def test_code_links_and_longer_words_keep_their_ids(text):
    assert f"/traces/{TRACE}" not in notes.render(text, KNOWN)


def test_a_list_of_ids_becomes_chips_up_to_a_bound():
    html = notes.render("\n\n".join(["E3"] * 600), KNOWN)
    assert len(links(html)) == 500
    assert parsed(html).text.count("E3") == 600


def test_web_addresses_become_links_without_the_full_stop():
    html = notes.render("(see https://wiki.example/a_(b)) or http://x.example/y.", KNOWN)
    assert links(html) == ["https://wiki.example/a_(b)", "http://x.example/y"]


def test_a_name_stands_out_but_a_mail_address_does_not():
    assert '<b class="mention">@Jun.Park</b>' in notes.render("ask @Jun.Park.", KNOWN)
    assert "mention" not in notes.render("mail jun@example.org", KNOWN)


def test_what_notes_may_name_is_known_before_they_are_rendered():
    found = notes.references([f"E3 and E-4, {TRACE.upper()}", "CASE-9, nothing else", "E3"])
    assert found == ({3, 4}, {TRACE})


def test_invisible_and_turning_characters_are_shown():
    html = notes.render("user \u202egnp.exe\u200b `\u2066x`\n\n    \u202eblock", KNOWN)
    assert "[U+202E]gnp.exe[U+200B]" in html
    assert "[U+2066]x" in html
    assert not re.search("[\u202e\u200b\u2066]", html)


def test_the_excerpt_is_one_plain_line():
    assert notes.excerpt("# Title\n\n- **one** `two`\n\n```\ncode\n```") == "Title one two code"
    long = notes.excerpt("word " * 500)
    assert len(long) == 160
    assert long.endswith("…")


def test_a_note_is_held_to_its_size_in_bytes():
    assert notes.accept("ä" * (MAX_BYTES // 2)) == "ä" * (MAX_BYTES // 2)
    with pytest.raises(InvalidInput, match=r"100,002 bytes; at most 100,000 are kept\. Nothing was saved") as caught:
        notes.accept("ä" * (MAX_BYTES // 2 + 1))
    assert caught.value.field == "text"


def test_an_empty_note_is_none():
    with pytest.raises(InvalidInput, match="The note is empty"):
        notes.accept(" \r\n\t")


_PIECES = st.sampled_from(
    ["<", ">", "&", '"', "'", "`", "```", "[", "](", ")", "![", "javascript:", "http://", "https://a.b/", "//", "data:",
     "\n", "\n\n", "- ", "> ", "| a | b |\n|-|-|\n", "<script>", "</script>", "<img src=x onerror=1>", "<svg/onload=1>",
     "hx-get", " onclick=", "&#106;", "\\", "*", "**", "_", "~~", "#", TRACE, "CASE-1", "E3", "@jun", "\x00", "\u202e",
     "style=", "<!--", "-->", "<a href=", "]: ", "\ud800"]
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(_PIECES | st.text(max_size=8), max_size=25).map("".join))
def test_whatever_is_written_only_allowed_elements_come_out(text):
    html = notes.render(text.encode("utf-8", "replace").decode(), KNOWN)
    assert_safe(html)
    notes.excerpt(text.encode("utf-8", "replace").decode())


@pytest.mark.timeout(30)  # not a measure of speed: a quadratic search for addresses takes minutes
@pytest.mark.parametrize("text", ["http://a", "a://", "@a.", "E3 ", TRACE + " ", "[", "> ", "|a", "http://a)"])
def test_a_full_note_of_references_is_rendered(text):
    assert_safe(notes.render((text * MAX_BYTES)[:MAX_BYTES], KNOWN))
