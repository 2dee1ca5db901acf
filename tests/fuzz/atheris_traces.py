"""Coverage-guided fuzzing of the three decoders and the judgement with atheris, which is no dependency of the project.

    python3.11 -m venv /somewhere/else && /somewhere/else/bin/pip install atheris
    PYTHONPATH=.venv/lib/python3.11/site-packages nice /somewhere/else/bin/python tests/fuzz/atheris_traces.py \\
        /somewhere/else/found -max_total_time=3600

An input's first byte chooses the decoder, the rest is the body. Half of its changes are atheris' own, half those of
mutate.py. What breaks is written to a file `crash-...`; give that file instead of the folder to see it again.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2])]

with atheris.instrument_imports(include=["app"]):
    from fuzz.hold import hold

from fuzz.mutate import Mutator  # noqa: E402
from fuzz.seeds import MEDIA  # noqa: E402

ENCODINGS = sorted(MEDIA)
MUTATORS = [Mutator(encoding) for encoding in ENCODINGS]
_LARGEST = 20_000


def judge(data: bytes) -> None:
    hold(data[1:], MEDIA[ENCODINGS[data[0] % 3]] if data else None)


def change(data: bytes, largest: int, seed: int) -> bytes:
    """Another input made from this one, or from a seed where atheris has nothing of the sort yet."""
    chance = random.Random(seed)
    if len(data) < 2 or chance.random() < 0.3:
        which = chance.randrange(3)
        changed = bytes((which,)) + MUTATORS[which].mutated(chance)
    elif chance.random() < 0.3:
        which = data[0] % 3
        changed = data[:1] + MUTATORS[which].again(chance, data[1:])
    else:
        changed = atheris.Mutate(data, min(largest, _LARGEST))
    return changed[:largest]


def main() -> None:
    folder = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if folder is not None and not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for which, mutator in enumerate(MUTATORS):
            for number, body in enumerate(mutator.seeds):
                (folder / f"seed-{ENCODINGS[which]}-{number}").write_bytes(bytes((which,)) + body)
    atheris.Setup([*sys.argv, f"-max_len={_LARGEST}", "-timeout=60"], judge, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
