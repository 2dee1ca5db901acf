"""TraceQL text to tokens. Attribute names need a lexer of their own: they run on until a character that ends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lark.lexer import Lexer, Token

from app.errors import InvalidInput
from app.times import parse_duration
from app.traceql.nodes import ALIASES, INTRINSICS, Attribute, Scope
from app.traceql.values import Duration, Value
from app.traces.model import SpanKind, Status

_SKIP = re.compile(r"(?:\s|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)+")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DURATION = re.compile(r"[0-9.]*[0-9.nsuµμmhdwy]*[nsuµμmhdwy]")
_WORD = re.compile(r"[A-Za-z_]\w*")
_NAME_RUN = re.compile(r'[^\s{}()=~!<>&|^,"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_RAW_STRING = re.compile(r"`([^`]*)`")
_ESCAPE = re.compile(r'\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv"\\]))|\\.', re.S)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, '"': 34, "\\": 92}

_SYMBOLS = {
    "!>>": "NOT_DESCENDANT", "!<<": "NOT_ANCESTOR", "&>>": "UNION_DESCENDANT", "&<<": "UNION_ANCESTOR",
    "!>": "NOT_CHILD", "!<": "NOT_PARENT", "!~": "NRE", "!=": "NE", "=~": "RE", ">=": "GE", "<=": "LE",
    ">>": "DESCENDANT", "<<": "ANCESTOR", "&&": "AND", "||": "OR", "&>": "UNION_CHILD", "&<": "UNION_PARENT",
    "&~": "UNION_SIBLING", ">": "GT", "<": "LT", "=": "EQ", "~": "TILDE", "!": "NOT", "|": "_PIPE", "+": "PLUS",
    "-": "MINUS", "*": "STAR", "/": "SLASH", "%": "PERCENT", "^": "CARET", "{": "_LBRACE", "}": "_RBRACE",
    "(": "_LPAR", ")": "_RPAR", ",": "_COMMA",
}  # fmt: skip
_SYMBOL = re.compile("|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True)))
_SPELLING = {name: symbol for symbol, name in _SYMBOLS.items()}

_CONSTANTS: dict[str, Value] = {
    "true": True,
    "false": False,
    "nil": None,
    **{status.name.lower(): status for status in Status},
    **{kind.name.lower(): kind for kind in SpanKind},
}
_INTEGERS = {"minInt": -(2**63), "maxInt": 2**63 - 1}
_REDUCERS = frozenset({"count", "min", "max", "avg", "sum"})
_MEASURES = {
    "rate": "RATE", "count_over_time": "RATE",
    "min_over_time": "OF_FIELD", "max_over_time": "OF_FIELD", "avg_over_time": "OF_FIELD", "sum_over_time": "OF_FIELD",
    "histogram_over_time": "OF_FIELD",
    "quantile_over_time": "QUANTILE",
}  # fmt: skip
_KEYWORDS = frozenset({"by", "coalesce", "select", "with", "topk", "bottomk", "compare"})
_SCOPES = {scope.value: scope for scope in Scope if scope is not Scope.ANY}
_INTRINSIC_SCOPES = frozenset({"span", "trace", "event", "link", "instrumentation"})


class TraceQLError(InvalidInput):
    """The text is not TraceQL, or not TraceQL that Clew answers. `line` and `column` count from 1; 0 is not known."""

    def __init__(self, what: str, *, line: int = 0, column: int = 0) -> None:
        place = f"line {line}, column {column}: " if line else ""
        super().__init__(f"TraceQL{', ' if line else ': '}{place}{what}.", field="q")
        self.detail = f"{place}{what}"
        self.line = line
        self.column = column


def spelling(terminal: str) -> str:
    """A terminal of the grammar as the person typed it, or what it is called where it has no one spelling."""
    return _SPELLING.get(terminal) or _WORDS.get(terminal) or terminal.strip("_").lower()


_WORDS = {
    "FIELD": "an attribute", "CONSTANT": "a value", "STRING": "a string", "INTEGER": "a number", "FLOAT": "a number",
    "DURATION": "a duration", "WORD": "a name", "REDUCER": "an aggregate", "RATE": "a metrics function",
    "OF_FIELD": "a metrics function", "QUANTILE": "a metrics function", "$END": "the end of the query",
}  # fmt: skip


class TraceQLLexer(Lexer):
    """What lark asks for tokens. Token values are finished values: numbers, strings, attributes."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, text: str) -> Iterator[Token]:  # type: ignore[override]  # the simpler of lark's two interfaces
        return tokens(text)


def tokens(text: str) -> Iterator[Token]:
    """Errors: TraceQLError with the place."""
    position = 0
    while True:
        skipped = _SKIP.match(text, position)
        if skipped:
            position = skipped.end()
        if position == len(text):
            return
        kind, value, end = _token(text, position)
        yield Token(kind, value, start_pos=position)
        position = end


def error_at(text: str, position: int, what: str) -> TraceQLError:
    line_start = text.rfind("\n", 0, position) + 1
    return TraceQLError(what, line=text.count("\n", 0, position) + 1, column=position - line_start + 1)


def _token(text: str, at: int) -> tuple[str, Any, int]:
    char = text[at]
    if char.isdecimal() or (char == "." and text[at + 1 : at + 2].isdecimal()):
        return _number(text, at)
    if char == ".":
        return _attribute(text, at, at + 1, Scope.ANY)
    if char in '"`':
        return _string(text, at)
    word = _WORD.match(text, at)
    if word:
        return _word(text, at, word[0], word.end())
    symbol = _SYMBOL.match(text, at)
    if symbol:
        return _SYMBOLS[symbol[0]], symbol[0], symbol.end()
    raise error_at(text, at, f"unexpected {char!r}")


def _number(text: str, at: int) -> tuple[str, Any, int]:
    number = _NUMBER.match(text, at)
    duration = _DURATION.match(text, at)
    if duration:
        try:
            return "DURATION", Duration(parse_duration(duration[0])), duration.end()
        except InvalidInput:
            pass  # "1.5e3" and the like: a number after all
    if not number:
        raise error_at(text, at, "not a number")
    if number[0].isdecimal():
        value = int(number[0]) if number.end() - at < 20 else 2**63
        if value >= 2**63:
            raise error_at(text, at, "the number does not fit 64 bits")
        return "INTEGER", value, number.end()
    if float(number[0]) == float("inf"):
        raise error_at(text, at, "the number does not fit 64 bits")
    return "FLOAT", float(number[0]), number.end()


def _string(text: str, at: int) -> tuple[str, Any, int]:
    found = (_STRING if text[at] == '"' else _RAW_STRING).match(text, at)
    if not found:
        raise error_at(text, at, "the string has no end")
    if text[at] == "`":
        return "STRING", found[1].replace("\r", ""), found.end()  # Go drops carriage returns from raw strings
    if "\\" not in found[1]:
        return "STRING", found[1], found.end()
    return "STRING", _unescaped(text, at, found[1]), found.end()


def _unescaped(text: str, at: int, body: str) -> str:
    out = bytearray()
    position = 0
    for escape in _ESCAPE.finditer(body):
        out += body[position : escape.start()].encode()
        byte, short, long, octal, simple = escape.groups()
        if simple:
            out.append(_SIMPLE[simple])
        elif (byte or octal) and int(byte or octal, 16 if byte else 8) < 256:
            out.append(int(byte or octal, 16 if byte else 8))
        elif (short or long) and int(short or long, 16) < 0x110000 and not 0xD800 <= int(short or long, 16) < 0xE000:
            out += chr(int(short or long, 16)).encode()
        else:
            raise error_at(text, at + 1 + escape.start(), f"unknown escape {escape[0]}")
        position = escape.end()
    out += body[position:].encode()
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise error_at(text, at, "the string's escapes are not UTF-8") from None


def _word(text: str, at: int, word: str, end: int) -> tuple[str, Any, int]:
    following = text[end : end + 1]
    if following == "." and word in _SCOPES:
        return _attribute(text, at, end + 1, _SCOPES[word])
    if following == "." and word == "parent":
        raise error_at(text, at, "parent attributes are not supported")
    if following == ":" and word in _INTRINSIC_SCOPES:
        tail = _WORD.match(text, end + 1)
        full = f"{word}:{tail[0] if tail else ''}"
        if full in INTRINSICS and tail:
            return "FIELD", INTRINSICS[full], tail.end()
        raise error_at(text, at, f"unknown identifier: {full}")
    if word in INTRINSICS and word not in ALIASES:
        return "FIELD", INTRINSICS[word], end
    if word in _CONSTANTS:
        return "CONSTANT", _CONSTANTS[word], end
    if word in _INTEGERS:
        return "INTEGER", _INTEGERS[word], end
    if word in _REDUCERS:
        return "REDUCER", word, end
    if word in _MEASURES:
        return _MEASURES[word], word, end
    if word in _KEYWORDS:
        return f"_{word.upper()}", word, end
    if word in ("parent", "childCount"):
        raise error_at(text, at, f"{word} is not supported")
    return "WORD", word, end


def _attribute(text: str, at: int, position: int, scope: Scope) -> tuple[str, Any, int]:
    """An attribute's name: plain runs and quoted parts, joined, until a character that ends it."""
    parts = []
    while position < len(text):
        if text[position] == '"':
            quoted = _QUOTED.match(text, position)
            if not quoted:
                raise error_at(text, position, "the quoted name has no end or an unknown escape")
            parts.append(re.sub(r"\\(.)", r"\1", quoted[1]))
            position = quoted.end()
        elif run := _NAME_RUN.match(text, position):
            parts.append(run[0])
            position = run.end()
        else:
            break
    name = "".join(parts)
    if not name:
        raise error_at(text, at, "an attribute needs a name")
    return "FIELD", Attribute(name, scope), position
