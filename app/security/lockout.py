"""When a log-in must wait: too many failures for one account, or from one address.

    five failures within five minutes   wait 5 minutes from the last one, then five more tries
    five more                           wait 10 minutes, then 20, 40, at most an hour

Time alone unlocks. Tries refused while locked are not failures: hammering at the door does not prolong somebody's wait.
Unknown names lock exactly as known ones do.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

WINDOW = dt.timedelta(minutes=5)
LONGEST_WAIT = dt.timedelta(hours=1)
MEMORY = dt.timedelta(hours=24)  # failures older than this no longer lengthen the wait


@dataclasses.dataclass(frozen=True)
class Locked:
    until: dt.datetime

    def sentence(self, now: dt.datetime) -> str:
        minutes = max(1, -(-int((self.until - now).total_seconds()) // 60))
        return f"Too many wrong tries. Wait {minutes} {'minute' if minutes == 1 else 'minutes'}."


def locked(failures: Sequence[dt.datetime], now: dt.datetime, *, allowed: int) -> Locked | None:
    """Whether the next try must wait, and until when.

    failures: times of the failures remembered (since the last success, within MEMORY), in any order.
    allowed:  failures within WINDOW before the door closes.
    """
    times = sorted(time for time in failures if time > now - MEMORY)
    if len(times) < allowed:
        return None
    last = times[-1]
    if sum(1 for time in times if time > last - WINDOW) < allowed:
        return None
    wait = min(WINDOW * 2 ** (len(times) // allowed - 1), LONGEST_WAIT)
    until = last + wait
    return Locked(until) if now < until else None
