"""One way to judge a trace for the whole process: the shipped rules, the house's own, and what the settings know."""

from __future__ import annotations

import functools
from collections.abc import Callable

from app.analysis.examine import examine
from app.analysis.reading import Context
from app.analysis.rulebook import with_house_rules
from app.analysis.verdict import Verdict
from app.settings import AnalysisSettings
from app.traces.model import Trace


def judge_of(settings: AnalysisSettings) -> Callable[[Trace], Verdict]:
    """The judge that these settings describe. Errors: InvalidInput names file and line of a house rule that is wrong."""
    context = Context(
        known_services=frozenset(settings.known_services), client_address_is_pii=settings.client_address_is_pii
    )  # fmt: skip
    return functools.partial(examine, rules=with_house_rules(settings.rules_dir), context=context)
