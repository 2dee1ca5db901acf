"""All checks in the order of their areas: what each asks, what it is worth, and the function that answers it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from app.doctor import connections
from app.doctor.facts import Facts
from app.doctor.finding import Area, Finding, Unknown


class Check(msgspec.Struct, frozen=True):
    """One check. points: its share of the score, which is scaled so that all of them make a hundred."""

    id: str
    asks: str
    points: float
    look: Callable[[str, Facts], Iterator[Finding | Unknown]]

    @property
    def area(self) -> Area:
        return Area(self.id.partition(".")[0])


CHECKS: tuple[Check, ...] = (
    Check(
        "connection.tempo",
        "Does Tempo answer?",
        6,
        lambda check, facts: connections.reachable(check, facts.connection("Tempo")),
    ),
    Check(
        "connection.prometheus",
        "Does Prometheus answer?",
        5,
        lambda check, facts: connections.reachable(check, facts.connection("Prometheus")),
    ),
    Check(
        "connection.alertmanager",
        "Does Alertmanager answer?",
        1,
        lambda check, facts: connections.reachable(check, facts.connection("Alertmanager")),
    ),
    Check(
        "connection.clock",
        "Do the sources' clocks agree with Clew's?",
        2,
        lambda check, facts: connections.clocks(check, facts.connections),
    ),
    Check(
        "connection.features",
        "Can the sources do what Clew makes use of?",
        2,
        lambda check, facts: connections.features(check, facts.connections),
    ),
)
