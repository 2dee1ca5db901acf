"""PromQL that holds other people's text, read back by an independent reader of the language's grammar."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.sources.promql import duration, label_in_path, quote, seconds, selector

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_HEX = {"x": 2, "u": 4, "U": 8}


def read_string(text: str, at: int) -> tuple[str, int]:
    """A double-quoted string as Go reads it, from its opening quote; and where it ends."""
    assert text[at] == '"'
    at += 1
    out = []
    while text[at] != '"':
        assert text[at] != "\n", "a double-quoted string cannot hold a newline"
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        kind = text[at + 1]
        if kind in _HEX:
            digits = text[at + 2 : at + 2 + _HEX[kind]]
            out.append(chr(int(digits, 16)))
            at += 2 + _HEX[kind]
        else:
            out.append(_ESCAPES[kind])
            at += 2
    return "".join(out), at + 1


def read_name(text: str, at: int, extra: str = "") -> tuple[str, int]:
    begin = at
    while at < len(text) and text[at].isascii() and (text[at].isalnum() or text[at] in "_" + extra):
        at += 1
    assert at > begin
    assert not text[begin].isdigit()
    return text[begin:at], at


def read_selector(text: str) -> tuple[str, dict[str, str]]:
    """The name and the equality matchers of a selector, as Prometheus' grammar has them."""
    name, at = read_name(text, 0, ":") if text[0] != "{" else ("", 0)
    labels: dict[str, str] = {}
    if at == len(text):
        return name, labels
    assert text[at] == "{"
    at += 1
    while text[at] != "}":
        key, at = read_string(text, at) if text[at] == '"' else read_name(text, at)
        if text[at] == "=":
            value, at = read_string(text, at + 1)
            assert key not in labels
            labels[key] = value
        else:
            assert name == ""
            name = key
        if text[at] == ",":
            at += 2
    assert at == len(text) - 1
    return name, labels


TEXT = st.text(st.characters(codec="utf-8"))
LABELS = st.dictionaries(
    st.one_of(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), TEXT.filter(bool)), TEXT, min_size=1
)
NAMES = st.one_of(st.just(""), st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True), TEXT.filter(bool))


@given(name=NAMES, labels=LABELS)
@example(name="up", labels={"job": 'x"} or vector(1) or up{a="'})
@example(name="up", labels={"user": '\\"\n\0'})
@example(name="http.requests", labels={"http.status_code": "200"})
def test_a_selector_means_what_was_given(name, labels):
    assert read_selector(selector(name, labels)) == (name, labels)


def test_how_selectors_look():
    assert selector("up", {}) == "up"
    assert selector("up", {"b": "2", "a": "1"}) == 'up{a="1", b="2"}'
    assert selector("", {"a": "é用"}) == '{a="é用"}'
    assert selector("http.server", {"a.b": "c"}) == '{"http.server", "a.b"="c"}'


def test_a_lone_surrogate_is_replaced_because_promql_cannot_hold_it():
    assert quote("a\ud800b") == '"a?b"'


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("job", "job"),
        ("http.status_code", "U__http_2e_status__code"),
        ("a/b", "U__a_2f_b"),
        ("é", "U___e9_"),
        ("1a1", "U___31_a1"),
    ],
)
def test_a_label_name_in_an_address(name, written):
    assert label_in_path(name) == written


def test_times_and_durations_keep_milliseconds():
    assert seconds(1_790_000_000_123_999_999) == "1790000000.123"
    assert seconds(500_000_000) == "0.500"
    assert duration(21_600_001_000_000) == "21600001ms"
    assert duration(1) == "1ms"
