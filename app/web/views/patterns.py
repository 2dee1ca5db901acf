"""Fixed sample data for the page that shows every component. All of it is one invented incident of 21 November."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.analysis.verdict import Confidence, Decision, Outcome
from app.security.roles import Person, Role
from app.sources.values import AlertState, Exemplar, Interval, Sample, Series
from app.times import MINUTE, SECOND, UnixNanos, parse_iso
from app.web import charts
from app.web.views.parts import Choice, Failure, SourceState

_NOON = parse_iso("2026-11-21T02:00:00Z")

SAID: dict[Outcome, tuple[str, str]] = {
    Outcome.ALLOWED: ("disc, tick", "The client got what it asked for after its checks passed."),
    Outcome.DENIED: ("octagon, bar", "policy refused mallory: subject is not a member of tenant 42."),
    Outcome.PARTIALLY_DENIED: ("octagon half full, dashed", "One of three branches was refused; the page came without it."),
    Outcome.BYPASSED: ("solid octagon, arrow through", "orders refused the update, and the update ran all the same."),
    Outcome.ERROR: ("triangle, exclamation mark", "OPA did not answer in 2 s; orders failed closed. Nobody refused."),
    Outcome.INCONCLUSIVE: ("diamond, question mark", "The client was refused; the trace does not show by whom."),
    Outcome.NO_AUTH_EVIDENCE: ("dashed ring, dash", "Nothing in this trace speaks of authentication or authorization."),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class PatternsView:
    """Every component with fixed sample data."""

    outcomes: tuple[tuple[str, str, str], ...]
    decisions: tuple[str, ...]
    confidences: tuple[str, ...]
    people: tuple[Person, ...]
    sources: tuple[SourceState, ...]
    failure: Failure
    choices: tuple[Choice, ...]
    refused_ns: UnixNanos
    figure: dict[str, Any]
    figure_label: str
    hostile: tuple[tuple[str, str], ...]
    swatches: tuple[str, ...] = (
        "ink", "ink-2", "ink-3", "line-2", "line", "sunken", "deny", "mass", "allow", "error", "open", "mute",
    )  # fmt: skip

    @classmethod
    def sample(cls) -> PatternsView:
        series, threshold, intervals, exemplars, window = _metric()
        return cls(
            outcomes=tuple((outcome.value, *SAID[outcome]) for outcome in Outcome),
            decisions=tuple(decision.value for decision in Decision),
            confidences=tuple(confidence.value for confidence in Confidence),
            people=(
                Person("1", "ines.varga", "Ines Varga", Role.ANALYST),
                Person("2", "tom.okafor", "Tom Okafor", Role.ADMIN),
            ),
            sources=(
                SourceState("Prometheus", "ok", "12 s ago"),
                SourceState("Tempo", "ok", "9 s ago"),
                SourceState("Alertmanager", "off", "not set up"),
                SourceState(
                    "Loki", "failing", "does not answer (15 s limit, since 02:51). Only log excerpts are missing.", "#"
                ),
            ),
            failure=Failure(
                "Tempo did not answer within 15 s.",
                still="The alert, its labels and its chart are current. The list of traces is not shown rather than shown old.",
                since_ns=parse_iso("2026-11-21T03:08:20Z"),
                tries=3,
                retry_href="#",
            ),
            choices=(
                Choice("Critical", 4, 4 / 11, "#", on=True),
                Choice("Warning", 6, 6 / 11, "#"),
                Choice("Info", 1, 1 / 11, "#"),
            ),
            refused_ns=parse_iso("2026-11-21T02:58:41.208375912Z"),
            figure=charts.alert_chart(series, threshold, intervals, exemplars, window),
            figure_label=charts.alert_words(series, threshold, intervals, window),
            hostile=(
                ("markup", "<img src=x onerror=alert(1)>"),
                ("right-to-left override", "invoice\u202efdp.exe"),
                ("ANSI escape", "\x1b[2J\x1b[31mall is well"),
                ("zero width", "admin\u200b"),
                ("look-alike letters", "p\u0430yp\u0430l"),
                ("template", "{{ 7 * 7 }}"),
            ),
        )


def _metric() -> tuple[list[Series], float, list[Interval], list[Exemplar], tuple[UnixNanos, UnixNanos]]:
    """Failed names in ten minutes: quiet, a steep rise, a plateau with a little noise, the way back."""
    values = []
    for step in range(145):
        minute = step / 2
        level = 2 + 146 * min(1.0, max(0.0, (minute - 14) / 10)) * min(1.0, max(0.0, (52 - minute) / 9))
        values.append(round(level + (step * 7 % 5) - 2))
    samples = tuple(Sample(UnixNanos(_NOON + step * 30 * SECOND), max(0, value)) for step, value in enumerate(values))
    series = [Series({"__name__": "auth:failed_user_buckets:count10m", "service_name": "identity"}, samples)]
    intervals = [
        Interval(AlertState.PENDING, _at(16.5), _at(17.5)),
        Interval(AlertState.FIRING, _at(17.5), _at(51.5)),
    ]
    exemplars = [
        Exemplar(f"{7 * n:032x}", f"{n:016x}", float(values[int(2 * minute)]), _at(minute), {}, {})
        for n, minute in enumerate((17.6, 20.2, 24.4, 29.1, 33.7, 39.5), start=1)
    ]
    return series, 20.0, intervals, exemplars, (_NOON, _at(72))


def _at(minute: float) -> UnixNanos:
    return UnixNanos(_NOON + int(minute * MINUTE))
