"""One check at a time for each window; its report is kept for some minutes; whoever only looks starts nothing."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from support import reports

from app.times import MINUTE, SECOND
from app.web.checkups import KEPT, SOONEST, WINDOWS, Checkups

BEGAN = 1_790_000_000 * SECOND


class Doctor:
    def __init__(self):
        self.now = BEGAN
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure = None

    async def examine(self, length):
        self.asked.append(length)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return msgspec.structs.replace(reports.report(), checked_ns=self.now)


@pytest.fixture
async def made():
    doctor = Doctor()
    checkups = Checkups(doctor.examine, clock=lambda: doctor.now)
    yield doctor, checkups
    doctor.gate.set()
    await checkups.close()


async def test_looking_starts_nothing(made):
    doctor, checkups = made
    assert checkups.last() is None
    assert checkups.kept("1h") is None
    assert doctor.asked == []


async def test_those_who_ask_together_share_one_check(made):
    doctor, checkups = made
    first, second = await asyncio.gather(checkups.report("1h", within_s=5), checkups.report("1h", within_s=5))
    assert first is second
    assert doctor.asked == [WINDOWS["1h"]]


async def test_a_report_is_kept_for_its_window_and_not_for_others(made):
    doctor, checkups = made
    await checkups.report("1h", within_s=5)
    doctor.now += 5 * MINUTE
    newer = await checkups.report("24h", within_s=5)
    assert await checkups.report("1h", within_s=5) is not newer
    assert doctor.asked == [WINDOWS["1h"], WINDOWS["24h"]]
    assert checkups.last() is newer


async def test_an_old_report_is_no_report(made):
    doctor, checkups = made
    await checkups.report("1h", within_s=5)
    doctor.now += KEPT
    assert checkups.last() is None
    await checkups.report("1h", within_s=5)
    assert len(doctor.asked) == 2


async def test_a_check_outlives_the_patience_of_its_asker(made):
    doctor, checkups = made
    doctor.gate.clear()
    assert await checkups.report("1h", within_s=0.01) is None
    assert checkups.is_running("1h")
    doctor.gate.set()
    assert await checkups.report("1h", within_s=5) is not None
    assert len(doctor.asked) == 1


async def test_checking_again_makes_a_new_report_but_not_twice_in_a_moment(made):
    doctor, checkups = made
    first = await checkups.report("1h", within_s=5)
    checkups.start("1h")
    assert not checkups.is_running("1h")
    doctor.now += SOONEST
    checkups.start("1h")
    assert checkups.is_running("1h")
    assert checkups.kept("1h") is first
    assert await checkups.report("1h", within_s=5) is not first


async def test_a_failed_check_is_told_and_not_kept(made):
    doctor, checkups = made
    doctor.failure = RuntimeError("broken")
    with pytest.raises(RuntimeError):
        await checkups.report("1h", within_s=5)
    doctor.failure = None
    assert await checkups.report("1h", within_s=5) is not None
