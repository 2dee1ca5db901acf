"""PromQL written safely: label values from alerts and telemetry are quoted, never pasted. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from app.times import MILLISECOND, SECOND

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def quote(text: str) -> str:
    """A PromQL string. It is a Go literal, of which a JSON string is a special case."""
    # PromQL is UTF-8, in which a lone surrogate cannot be written.
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def selector(name: str, labels: Mapping[str, str]) -> str:
    """A selector of the series with this name and exactly these label values: `up{job="a"}`.

    Names with other characters than Prometheus 2 allowed are quoted, as Prometheus 3 reads them: `{"http.server", "a.b"="c"}`.
    """
    plain = _METRIC.fullmatch(name)
    inside = ([] if plain or not name else [quote(name)]) + matchers(labels)
    return (name if plain else "") + (f"{{{', '.join(inside)}}}" if inside else "")


def matchers(labels: Mapping[str, str]) -> list[str]:
    """Equality matchers in order of their names."""
    return [f"{key if _LABEL.fullmatch(key) else quote(key)}={quote(labels[key])}" for key in sorted(labels)]


def label_in_path(name: str) -> str:
    """A label's name as a piece of an address: `http.status_code` is `U__http_2e_status_code`."""
    if _METRIC.fullmatch(name):
        return name
    pieces = ["U__"]
    for index, character in enumerate(name):
        if character == "_":
            pieces.append("__")
        elif _METRIC.fullmatch(character) or (index and character.isascii() and character.isdigit()):
            pieces.append(character)
        else:
            pieces.append(f"_{ord(character):x}_")
    return "".join(pieces)


def seconds(ns: int) -> str:
    """An instant or a duration in seconds with three decimals: Prometheus keeps milliseconds."""
    whole, rest = divmod(ns, SECOND)
    return f"{whole}.{rest // MILLISECOND:03d}"


def duration(ns: int) -> str:
    """A PromQL duration, rounded up to a millisecond."""
    return f"{-(-ns // MILLISECOND)}ms"
