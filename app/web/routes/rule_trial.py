"""A text of rules tried on a trace that was pasted or that Tempo has. Nothing is saved."""

from __future__ import annotations

import asyncio

from app.analysis import trial
from app.analysis.rulebook import RuleText
from app.analysis.trial import Trial
from app.errors import InvalidInput, NotATrace, NotFound
from app.house import book
from app.house.live import LiveRules
from app.investigation.judging import Judge
from app.investigation.opened import OpenTraces
from app.traces import build, ids, otlp
from app.traces.model import Trace

MOST_BYTES = 4 * 2**20
MOST_SPANS = 20_000
MOST_PAIRS = 200_000  # of a rule and a span: at the worst some seconds of computing


async def trace_of(traces: OpenTraces, pasted: str, trace_id: str) -> Trace:
    """The trace by its id where one is given, else the one that was pasted.

    Errors: InvalidInput names the field; NotFound and SourceError as Tempo's client raises them.
    """
    if trace_id.strip():
        try:
            wanted = ids.trace_id(trace_id.strip())
            trace = (await traces.open(wanted)).trace
        except InvalidInput as error:
            raise InvalidInput(error.sentence, field="trace_id") from None
        except NotFound as error:
            raise InvalidInput(error.sentence, field="trace_id") from None
    else:
        trace = await asyncio.to_thread(_read, pasted)
    if len(trace) > MOST_SPANS:
        raise InvalidInput(
            f"The trace has {len(trace):,} spans; rules are tried on at most {MOST_SPANS:,}.",
            field="trace_id" if trace_id.strip() else "trace",
        )
    return trace


async def run(live: LiveRules, judge: Judge, name: str, text: str, trace: Trace, *, document: str = "") -> Trial:
    """What the text makes of the trace, beside the rules that are in force without it.

    Errors: InvalidInput, RuleError with the line.
    """
    tried = RuleText(name, book.text_of(text), document)
    beside = [live.beside(document), list(live.files)]

    def work() -> Trial:
        rules = len(book.checked(tried))
        if rules * len(trace) > MOST_PAIRS:
            what = "1 rule" if rules == 1 else f"{rules:,} rules"
            raise InvalidInput(
                f"{what} on {len(trace):,} spans {'is' if rules == 1 else 'are'} too much to try at once. "
                "Try fewer rules, or a smaller trace."
            )
        return trial.tried(trace, [tried], beside=beside, context=judge.context)

    async with live.trials:
        return await asyncio.to_thread(work)


def _read(pasted: str) -> Trace:
    size = len(pasted.encode("utf-8", "replace"))
    if not pasted.strip():
        raise InvalidInput("Paste a trace, or give the id of one that Tempo has.", field="trace")
    if size > MOST_BYTES:
        raise InvalidInput(f"The trace has {size:,} bytes; at most {MOST_BYTES:,} are tried.", field="trace")
    try:
        return build.build(otlp.decode(pasted.encode("utf-8", "replace")))
    except NotATrace as error:
        raise InvalidInput(error.sentence, field="trace") from None
