"""An alert's words where no source renders them any more: the rule's template with the labels and the value put in.

Prometheus forgets a resolved alert's annotations; the rule's template remains. This reads the few forms of Go's template
language that alerts' summaries are made of. A template that holds any other gives nothing, never half a sentence.

    {{ $labels.service_name }}  {{ .Labels.x }}  {{ $value }}  {{ .Value }}  {{ $value | humanize }}  {{ printf "%.2f" $value }}

Source: Prometheus' template reference (humanize, humanize1024, humanizeDuration, humanizePercentage, printf, toUpper ...).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

_MAX_TEMPLATE = 4_000
_MAX_TEXT = 2_000


class OfLabel(msgspec.Struct, frozen=True):
    """A place that takes a label's value."""

    label: str
    through: tuple[str, ...] = ()


class OfValue(msgspec.Struct, frozen=True):
    """A place that takes the measured value."""

    through: tuple[str, ...] = ()


Part: TypeAlias = "str | OfLabel | OfValue"

_ACTION = re.compile(r"\{\{(-?)((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*?)(-?)\}\}", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([A-Za-z_]\w*)|index\s+(?:\$labels|\.Labels)\s+\"([^\"\\]{1,200})\"", re.ASCII)
_PRINTF = re.compile(r"printf\s+\"((?:[^\"\\%]|%%)*)%(\.\d\d?)?([fgeGvs])((?:[^\"\\%]|%%)*)\"(?:\s+(.+))?", re.DOTALL)


def parts(template: str) -> list[Part] | None:
    """The template as text and places; None where it holds a form that is not known here."""
    if len(template) > _MAX_TEMPLATE:
        return None
    found: list[Part] = []
    position, trim = 0, False
    for action in _ACTION.finditer(template):
        text = template[position : action.start()]
        text = text.lstrip() if trim else text
        found.append(text.rstrip() if action[1] else text)
        place = _place(action[2].strip())
        if place is None:
            return None
        found.append(place)
        position, trim = action.end(), bool(action[3])
    rest = template[position:]
    found.append(rest.lstrip() if trim else rest)
    if any(isinstance(part, str) and ("{{" in part or "}}" in part) for part in found):
        return None
    return [part for part in found if part != ""]


def expand(template: str, labels: Mapping[str, str], value: float | None) -> str | None:
    """The template's text for one alert; None where it cannot be had whole: an unknown form, or a value not known."""
    places = parts(template)
    if places is None:
        return None
    out = []
    for place in places:
        text = place if isinstance(place, str) else filled(place, labels, value)
        if text is None:
            return None
        out.append(text)
    return "".join(out).strip()[:_MAX_TEXT]


def filled(place: OfLabel | OfValue, labels: Mapping[str, str], value: float | None) -> str | None:
    """What stands in one place."""
    if isinstance(place, OfValue) and value is None:
        return None
    # Go prints a missing label as nothing.
    result: str | float = labels.get(place.label, "") if isinstance(place, OfLabel) else value or 0.0
    for name in place.through:
        made = _apply(name, result)
        if made is None:
            return None
        result = made
    return result if isinstance(result, str) else go_float(result)


def needs_value(template: str) -> bool:
    return any(isinstance(part, OfValue) for part in parts(template) or ())


def _place(action: str) -> OfLabel | OfValue | None:
    """The place that an action is, functions in the order they are applied."""
    first, *piped = [stage.strip() for stage in _stages(action)]
    functions: list[str] = []
    # `humanize $value` and `printf "%.2f" $value` are `$value | ...` written the other way round.
    while True:
        printf = _PRINTF.fullmatch(first)
        call = re.fullmatch(r"([A-Za-z0-9]+)\s+(.+)", first, re.DOTALL)
        if printf and printf[5]:
            functions.insert(0, first[: printf.start(5)].strip())
            first = printf[5].strip()
        elif call and call[1] in _FUNCTIONS:
            functions.insert(0, call[1])
            first = call[2].strip()
        else:
            break
    through = (*functions, *piped)
    if not all(name in _FUNCTIONS or (_PRINTF.fullmatch(name) and not _PRINTF.fullmatch(name)[5]) for name in through):  # type: ignore[index]
        return None
    if first in ("$value", ".Value"):
        return OfValue(through)
    label = _LABEL.fullmatch(first)
    return OfLabel(label[1] or label[2], through) if label else None


def _stages(action: str) -> list[str]:
    """Split at pipes outside strings."""
    stages, inside, start = [], False, 0
    for i, char in enumerate(action):
        if char == '"' and (i == 0 or action[i - 1] != "\\"):
            inside = not inside
        elif char == "|" and not inside:
            stages.append(action[start:i])
            start = i + 1
    return [*stages, action[start:]]


def _apply(name: str, given: str | float) -> str | float | None:
    function = _FUNCTIONS.get(name)
    if function is not None:
        return function(given)
    printf = _PRINTF.fullmatch(name)
    if printf is None:
        return None
    before, precision, verb, after = printf[1].replace("%%", "%"), printf[2] or "", printf[3], printf[4].replace("%%", "%")
    if verb in "vs":
        if precision or (verb == "s") != isinstance(given, str):
            return None
        return f"{before}{given if isinstance(given, str) else go_float(given)}{after}"
    number = _number(given)
    if number is None or isinstance(given, str):  # Go prints %!f(string=...): better nothing
        return None
    # Go's bare %g is the shortest that reads back, Python's has six digits.
    text = go_float(number) if verb in "gG" and not precision else f"%{precision}{verb}" % number
    return f"{before}{text}{after}"


def _number(given: str | float) -> float | None:
    if isinstance(given, float):
        return given
    try:
        return float(given)
    except ValueError:
        return None


def go_float(value: float) -> str:
    """A float as Go's %v prints it: shortest digits, exponents only below 1e-4 and from 1e21."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def _numeric(function: Callable[[float], str]) -> Callable[[str | float], str | None]:
    def on_anything(given: str | float) -> str | None:
        number = _number(given)
        return None if number is None else function(number)

    return on_anything


def _g4(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return go_float(value)
    return f"{value:.4g}"


def _scaled(value: float, step: int, larger: Sequence[str], smaller: Sequence[str]) -> str:
    if value == 0 or math.isnan(value) or math.isinf(value):
        return _g4(value)
    prefix = ""
    if abs(value) >= 1:
        for prefix in ("", *larger):
            if abs(value) < step or prefix == larger[-1]:
                break
            value /= step
    else:
        for prefix in ("", *smaller):
            if abs(value) >= 1 or not smaller or prefix == smaller[-1]:
                break
            value *= step
    return f"{_g4(value)}{prefix}"


_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def _humanize(value: float) -> str:
    return _scaled(value, 1000, ("k", "M", "G", "T", "P", "E", "Z", "Y"), _SMALL)


def _humanize1024(value: float) -> str:
    return _scaled(value, 1024, ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"), ())


def _humanize_duration(value: float) -> str:
    if value == 0 or math.isnan(value) or math.isinf(value):
        return f"{_g4(value)}s" if value == 0 else _g4(value)
    if abs(value) < 1:
        return f"{_scaled(value, 1000, ('k',), _SMALL)}s"
    sign, seconds = ("-" if value < 0 else ""), abs(int(value))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds % 60}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds % 60}s"
    if minutes:
        return f"{sign}{minutes}m {seconds % 60}s"
    return f"{_g4(value)}s"


_FUNCTIONS: dict[str, Callable[[str | float], str | float | None]] = {
    "humanize": _numeric(_humanize),
    "humanize1024": _numeric(_humanize1024),
    "humanizeDuration": _numeric(_humanize_duration),
    "humanizePercentage": _numeric(lambda value: f"{_g4(value * 100)}%"),
    "toUpper": lambda given: given.upper() if isinstance(given, str) else None,
    "toLower": lambda given: given.lower() if isinstance(given, str) else None,
    "title": lambda given: given.title() if isinstance(given, str) else None,
}
