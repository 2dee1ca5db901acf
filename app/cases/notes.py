"""A note: Markdown that a person wrote, to HTML that is safe to show, with chips for the things it names.

Markdown is read with HTML switched off, so that markup in a note is text; what comes out then passes an allow-list of
elements and attributes. Trace ids, `CASE-0007`, `E3` and web addresses become links, `@name` stands out. Images are never
loaded: each would tell its host that the case is being read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from app.analysis.verdict import Outcome
from app.cases.model import case_name, evidence_name, storable
from app.errors import InvalidInput

MAX_BYTES = 100_000  # markdown-it needs 1.5 s for this much of its worst input; more would be a way to stall a page
_MOST_CHIPS = 500  # of one note; a longer list of ids stays text
_EXCERPT = 160

_TAGS = {"p", "br", "hr", "h3", "h4", "h5", "h6", "strong", "em", "s", "b", "code", "pre", "blockquote",
         "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "span"}  # fmt: skip
_CLEAN = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags={"script", "style"},
    attributes={"a": {"href"}, "ol": {"start"}},
    allowed_classes={"a": {"ref"}, "span": {"entity__kind", "mono"}, "b": {"mention"}},
    tag_attribute_values={"a": {"data-verdict": {outcome.value for outcome in Outcome}}},
    url_schemes={"http", "https"},
    link_rel="noopener noreferrer nofollow",
)

# Every repeat is bounded or over a class that excludes what follows it: linear on any text.
_REFERENCE = re.compile(
    r"(?<![0-9A-Za-z_])(?:"
    r"(?P<url>https?://[^\s<>\"'`\\]{1,2000})"
    r"|(?P<trace>[0-9a-fA-F]{32})(?![0-9A-Za-z_])"
    r"|CASE-(?P<case>[0-9]{1,9})(?![0-9A-Za-z_])"
    r"|E-?(?P<evidence>[1-9][0-9]{0,5})(?![0-9A-Za-z_])"
    r"|@(?P<person>[A-Za-z][\w-]{0,40}(?:\.[\w-]{1,40}){0,3})"
    r")"
)
# Characters that change the reading order or take no place: shown by their code point, or a name could lie about itself.
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class Known(msgspec.Struct, frozen=True):
    """What the notes of one case can point at.

    evidence, traces: the number of an item, or a trace id, to its outcome; "" where there is no verdict.
    """

    case: str
    evidence: Mapping[int, str] = {}
    traces: Mapping[str, str] = {}


_NO_MORE = object()


def accept(text: str) -> str:
    """The note as it is kept. Errors: InvalidInput for an empty or too long one, with the figures."""
    plain = storable(text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not plain.strip():
        raise InvalidInput("The note is empty.", field="text")
    size = len(plain.encode())
    if size > MAX_BYTES:
        raise InvalidInput(
            f"The note has {size:,} bytes; at most {MAX_BYTES:,} are kept. Nothing was saved: shorten it or split it.",
            field="text",
        )
    return plain


def render(text: str, known: Known) -> str:
    """The note as HTML with only the allowed elements and attributes."""
    return _CLEAN.clean(_MARKDOWN.render(text, {"known": known}))


def references(texts: Iterable[str]) -> tuple[set[int], set[str]]:
    """Evidence numbers and trace ids that the notes may name, so that only these need to be looked up."""
    found = [match for text in texts for match in _REFERENCE.finditer(text)]
    numbers = {int(match["evidence"]) for match in found if match["evidence"]}
    return numbers, {match["trace"].lower() for match in found if match["trace"]}


def excerpt(text: str) -> str:
    """The note's beginning as one line of plain text, for lists."""
    words: list[str] = []
    for token in _MARKDOWN.parse(text[: 8 * _EXCERPT], {}):
        if token.type == "inline":
            words.extend(child.content or " " for child in token.children or ())
        elif token.type in ("fence", "code_block"):
            words.append(token.content)
        words.append(" ")
    folded = " ".join("".join(words).split())
    return folded if len(folded) <= _EXCERPT else folded[: _EXCERPT - 1] + "…"


def _markdown() -> MarkdownIt:
    # markdown-it's own linkify is left out: it needs 25 s for 100 KB of "http://a".
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    reader.validateLink = lambda url: url.lower().startswith(("http://", "https://"))  # type: ignore[method-assign]
    reader.core.ruler.push("references", _find_references)
    reader.add_render_rule("reference", _render_reference)
    return reader


def _find_references(state: StateCore) -> None:
    known, chips = state.env.get("known"), itertools.repeat(None, _MOST_CHIPS)
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"  # a page has one h1, and h2 for its panels
        if token.type in ("fence", "code_block"):
            token.content = visible(token.content)
        if token.type == "inline" and token.children:
            token.children = list(_with_references(token.children, known, chips))


def _with_references(children: Sequence[Token], known: Known | None, chips: Iterator[None]) -> Iterator[Token]:
    in_link = 0
    for child in children:
        in_link += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type in ("text", "code_inline"):
            child.content = visible(child.content)
        if child.type != "text" or in_link or known is None:
            yield child
        else:
            yield from _split(child, known, chips)


def _split(token: Token, known: Known, chips: Iterator[None]) -> Iterator[Token]:
    """The text with its references taken out, for as long as there are chips left."""
    text, done = token.content, 0
    for match in _REFERENCE.finditer(text):
        found = _target(match, known)
        if found is None:
            continue
        if next(chips, _NO_MORE) is _NO_MORE:
            break
        length, meta = found
        yield _text(text[done : match.start()])
        yield Token("reference", "", 0, content=match[0][:length], meta=meta)
        done = match.start() + length
    yield _text(text[done:]) if done else token


def _target(match: re.Match[str], known: Known) -> tuple[int, dict[str, Any]] | None:
    """How much of the match is a reference, and to what; None where it only looked like one."""
    whole = len(match[0])
    if url := match["url"]:
        url = _sentence_off(url)
        return (len(url), {"href": url}) if url.partition("://")[2] else None
    if match["trace"]:
        trace = match["trace"].lower()
        return whole, {"href": f"/traces/{trace}", "kind": "trace", "name": trace[:8], "outcome": known.traces.get(trace, "")}
    if match["case"]:
        name = case_name(int(match["case"]))
        return whole, {"href": f"/cases/{name}", "kind": "case", "name": name, "outcome": ""}
    if match["evidence"]:
        number = int(match["evidence"])
        if number not in known.evidence:
            return None  # "E10" may as well be an engine part
        return whole, {"href": f"/cases/{known.case}/evidence/{number}", "kind": "evidence", "name": evidence_name(number),
                       "outcome": known.evidence[number]}  # fmt: skip
    return whole, {"person": match["person"]}


def _sentence_off(url: str) -> str:
    """The address without the punctuation of the sentence around it; brackets that it opened itself are its own."""
    url = url.rstrip(".,;:!?*_")
    surplus = url.count(")") - url.count("(")
    while surplus > 0 and url.endswith(")"):
        url, surplus = url[:-1], surplus - 1
    return url.rstrip(".,;:!?*_")


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _render_reference(_renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object) -> str:
    token, meta = tokens[index], tokens[index].meta
    if "person" in meta:
        return f'<b class="mention">{escapeHtml(token.content)}</b>'
    href = escapeHtml(meta["href"])
    if "kind" not in meta:
        return f'<a href="{href}">{escapeHtml(token.content)}</a>'
    outcome = meta["outcome"]
    # The verdict is a word in the chip, not only its colour.
    verdict = f" <span>{escapeHtml(outcome.replace('_', ' '))}</span>" if outcome else ""
    state = f' data-verdict="{escapeHtml(outcome)}"' if outcome else ""
    return (
        f'<a class="ref" href="{href}"{state}><span class="entity__kind">{meta["kind"]}</span> '
        f'<span class="mono">{escapeHtml(meta["name"])}</span>{verdict}</a>'
    )


def visible(text: str) -> str:
    """The text with invisible and direction-changing characters written as their code points: `[U+202E]`."""
    return _UNSEEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


_MARKDOWN = _markdown()
