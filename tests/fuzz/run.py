"""Mutated inputs of one decoder through decode, build and examine: `python tests/fuzz/run.py protobuf --count 200000`.

Prints what became of them; at the first that breaks something, its number and the error, and ends with 1.
`--show NUMBER` writes that input to standard output instead. One that takes a minute is a hang.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from fuzz.hold import hold
from fuzz.mutate import Mutator
from fuzz.seeds import MEDIA

HANG_S = 60


def run(encoding: str, first: int, count: int) -> Counter[str]:
    """What became of the inputs from `first` on: outcomes, and `refused` for those that are no trace."""
    mutator, media, seen = Mutator(encoding), MEDIA[encoding], Counter[str]()
    for number in range(first, first + count):
        body = mutator.input(number)
        if number % 1000 == 0:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            verdict = hold(body, media)
        except Exception as error:
            error.add_note(f"input {number} of {encoding}")
            raise
        seen["refused" if verdict is None else verdict.outcome.value] += 1
    faulthandler.cancel_dump_traceback_later()
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoding", choices=sorted(MEDIA))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--show", type=int, metavar="NUMBER")
    given = parser.parse_args()
    if given.show is not None:
        sys.stdout.buffer.write(Mutator(given.encoding).input(given.show))
        return 0
    begun = time.monotonic()
    try:
        seen = run(given.encoding, given.first, given.count)
    except Exception:
        traceback.print_exc()
        return 1
    print(json.dumps({"encoding": given.encoding, "count": given.count, "seconds": round(time.monotonic() - begun), **seen}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
