"""The collector of reference cycles, kept from work that makes none.

Spans and nodes come into being by the hundred thousand at once; the collector would walk those already made again and again,
and find nothing. What is allocated meanwhile is looked at afterwards as usual.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left() -> Iterator[None]:
    """Collect nothing until this ends.

    Of several threads whichever ends first lets the collector in again: work that overlaps without end must not starve it.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
