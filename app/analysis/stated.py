"""What each span of a trace says of itself: `stated(trace)`.

The verdict names one span for each layer's decision. A picture of the trace shows every check with what it said, also the
second of a kind; what of it counted, and why, stands in the verdict alone.
"""

from __future__ import annotations

from app.analysis import joins, signals
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import RuleBook, shipped
from app.analysis.verdict import Decision
from app.traces.model import Trace

_DECISIONS = {"allow": Decision.ALLOW, "deny": Decision.DENY, "error": Decision.ERROR}


def stated(trace: Trace, *, rules: RuleBook | None = None, context: Context | None = None) -> dict[str, Decision]:
    """Spans that are checks and say how they decided, by span id. A check whose answer is not recorded is left out."""
    reading = Reading(trace, context if context is not None else Context())
    joins.join(reading)
    reading.settle()
    signals.collect(reading, rules if rules is not None else shipped())
    return {
        signal.node.span.span_id: _DECISIONS[signal.decision]
        for signal in reading.signals.values()
        if signal.is_check and signal.decision in _DECISIONS
    }
