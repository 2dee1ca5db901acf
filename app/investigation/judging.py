"""One way to judge a trace for the whole process: the shipped rules, the house's own, and what the settings know."""

from __future__ import annotations

from app.analysis.contrast import Contrast, contrast
from app.analysis.examine import examine
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import RuleBook, with_house_rules
from app.analysis.stated import read, stated
from app.analysis.verdict import Decision, Verdict
from app.settings import AnalysisSettings
from app.traces.model import Trace


class Judge:
    """`judge(trace)` is the verdict."""

    def __init__(self, rules: RuleBook, context: Context) -> None:
        self._rules = rules
        self._context = context

    @property
    def rules(self) -> RuleBook:
        """Those it judges by now."""
        return self._rules

    @property
    def context(self) -> Context:
        return self._context

    def use(self, rules: RuleBook) -> None:
        """Judge by other rules from now on; a judgement that has begun ends with those it began with."""
        self._rules = rules

    def __call__(self, trace: Trace) -> Verdict:
        return examine(trace, rules=self._rules, context=self._context)

    def stated(self, trace: Trace) -> dict[str, Decision]:
        """What single spans say they decided, by span id."""
        return stated(trace, rules=self._rules, context=self._context)

    def read(self, trace: Trace) -> Reading:
        """The trace with what its spans said, as the judgement begins with it."""
        return read(trace, self._rules, self._context)[0]

    def contrast(self, denied: Trace, allowed: Trace) -> Contrast:
        """At which check a refused request parts from one that was let through."""
        return contrast(denied, allowed, rules=self._rules, context=self._context)


def judge_of(settings: AnalysisSettings) -> Judge:
    """The judge that these settings describe. Errors: InvalidInput names file and line of a house rule that is wrong."""
    context = Context(
        known_services=frozenset(settings.known_services), client_address_is_pii=settings.client_address_is_pii
    )  # fmt: skip
    return Judge(with_house_rules(settings.rules_dir), context)
