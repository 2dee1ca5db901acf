"""What each span of a trace says of itself: `stated(trace)`.

The verdict names one span for each layer's decision. A picture of the trace shows every check with what it said, also the
second of a kind; what of it counted, and why, stands in the verdict alone.
"""

from __future__ import annotations

from app.analysis import joins, signals
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import RuleBook, shipped
from app.analysis.signals import Said
from app.analysis.verdict import Decision
from app.traces.model import Trace

_DECISIONS = {"allow": Decision.ALLOW, "deny": Decision.DENY, "error": Decision.ERROR}


def read(trace: Trace, rules: RuleBook, context: Context) -> tuple[Reading, Said]:
    """The trace with what its spans said, as the judgement begins with it."""
    reading = Reading(trace, context)
    joins.join(reading)
    reading.settle()
    return reading, signals.collect(reading, rules)


def stated(trace: Trace, *, rules: RuleBook | None = None, context: Context | None = None) -> dict[str, Decision]:
    """Spans that are checks and say how they decided, by span id. A check whose answer is not recorded is left out."""
    reading, _ = read(trace, rules if rules is not None else shipped(), context if context is not None else Context())
    return {
        signal.node.span.span_id: _DECISIONS[signal.decision]
        for signal in reading.signals.values()
        if signal.is_check and signal.decision in _DECISIONS
    }
