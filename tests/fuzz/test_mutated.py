"""Mutated traces: whatever the bytes, there is a verdict or the project's own error, and the work stays in proportion."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import run
from fuzz.hold import hold
from fuzz.mutate import Mutator
from fuzz.seeds import MEDIA, bodies
from fuzz.work import bytecodes

COUNT = 200_000  # for each decoder, half of them in each of two processes
RUN = Path(run.__file__)


@pytest.mark.parametrize("encoding", sorted(MEDIA))
def test_every_seed_gets_a_verdict(encoding):
    assert len(bodies(encoding)) > 50
    assert all(hold(body, MEDIA[encoding]) is not None for body in bodies(encoding))


@pytest.mark.parametrize("encoding", sorted(MEDIA))
def test_a_number_names_the_same_input_in_every_run(encoding):
    first, second = Mutator(encoding), Mutator(encoding)
    assert [first.input(n) for n in range(50)] == [second.input(n) for n in range(50)]


@pytest.mark.parametrize("encoding", sorted(MEDIA))
def test_some_hundred_mutated_inputs_are_judged_or_refused(encoding):
    seen = run.run(encoding, 0, 400)
    # An input that never gets past the decoder tries nothing behind it.
    assert seen["refused"] < 300
    assert len(seen) >= 4


@pytest.mark.parametrize("encoding", sorted(MEDIA))
def test_the_work_is_in_proportion_to_the_bytes(encoding):
    """A bound far above what any of them takes, and far below what a loop over pairs would."""
    mutator = Mutator(encoding)
    hold(mutator.seeds[0], MEDIA[encoding])  # rules compiled, caches warm
    for number in range(40):
        body = mutator.input(number)
        assert bytecodes(lambda body=body: hold(body, MEDIA[encoding])) < 300_000 + 400 * len(body), number


@pytest.mark.slow
@pytest.mark.parametrize("encoding", sorted(MEDIA))
def test_two_hundred_thousand_mutated_inputs_are_judged_or_refused(encoding):
    half = COUNT // 2
    running = [
        subprocess.Popen(
            [sys.executable, str(RUN), encoding, "--first", str(first), "--count", str(half)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in (0, half)
    ]
    ended = [(one.communicate(), one.returncode) for one in running]
    for (out, err), code in ended:
        assert code == 0, err[-3000:]
        assert json.loads(out)["count"] == half
