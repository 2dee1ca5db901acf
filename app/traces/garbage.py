"""The collector of reference cycles, kept from work that makes none.

Spans and nodes come into being by the hundred thousand at once; the collector would walk those already made again and again,
and find nothing. What is allocated meanwhile is looked at afterwards as usual.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = 50_000  # allocations between two visits of the collector; its default is 700


def seldom() -> None:
    """For a server, once it is put together: what is there stays, and what is made is looked at in large steps.

    Large enough that a trace of 100,000 spans is walked once, small enough that no step holds the event loop up.
    """
    gc.freeze()
    gc.set_threshold(_SELDOM, 20, 100)


@contextmanager
def left() -> Iterator[None]:
    """Collect nothing until this ends, unless the collector comes by seldom anyway: all at once would take it longer.

    Of several threads whichever ends first lets the collector in again: work that overlaps without end must not starve it.
    """
    if not gc.isenabled() or gc.get_threshold()[0] >= _SELDOM:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
