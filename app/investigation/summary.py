"""What an alert says, in one line: the source's own words, else the rule's template filled in, else its name."""

from __future__ import annotations

import enum

import msgspec

from app.investigation import gotemplate
from app.investigation.alerts import Alert

_KEYS = ("summary", "title", "message", "description")


class From(enum.StrEnum):
    SOURCE = "source"  # a source rendered it
    RULE = "rule"  # Clew filled in the rule's template, as it is now
    NAME = "name"  # nothing better was to be had


class Summary(msgspec.Struct, frozen=True):
    text: str
    origin: From


def summary(alert: Alert) -> Summary:
    """The first annotation that says something; the alert's name where none does."""
    for key in _KEYS:
        text = annotation(alert, key)
        if text:
            return text
    return Summary(alert.name, From.NAME)


def annotation(alert: Alert, key: str) -> Summary | None:
    """One annotation of the alert at its episode; None where it has none, or none that can be had whole."""
    told = alert.episode.annotations.get(key, "").strip()
    if told:
        return Summary(told, From.SOURCE)
    template = alert.rule.annotations.get(key) if alert.rule else None
    if not template:
        return None
    episode = alert.episode
    # Of an ended alert the farthest value says what happened; the last one is the one at which it ended.
    value = episode.peak if episode.peak is not None else episode.value
    text = gotemplate.expand(template, alert.labels, value)
    return Summary(text, From.RULE) if text else None


def needs_value(alert: Alert) -> bool:
    """Would the value, which is not known, make its summary whole?"""
    episode = alert.episode
    if alert.rule is None or episode.annotations or episode.peak is not None or episode.value is not None:
        return False
    return any(gotemplate.needs_value(alert.rule.annotations.get(key, "")) for key in _KEYS)
