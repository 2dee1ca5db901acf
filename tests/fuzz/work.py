"""How much work a call is, counted rather than timed: the same number on a busy machine and an idle one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], object]) -> int:
    """Calls that `work` makes, into Python and into C; each step of a generator is one."""
    count = 0

    def each(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(each)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def bytecodes(work: Callable[[], object]) -> int:
    """Bytecodes that `work` runs in Python; slower to count, and a loop without calls is seen as well."""
    count = 0

    def each(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return each

    before = sys.gettrace()
    sys.settrace(each)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
