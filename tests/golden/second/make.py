"""Write traces/ and labels.json beside this file: python make.py [FOLDER].

A second set drawn and labelled from the rules of judgement alone: systems, topologies and spellings that the blind set
does not have, put down before the engine had seen one of them. Its drawing language is the blind set's.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "blind"))

# Importing a module adds its traces to the album, in this order.
import clouds  # noqa: F401
import doors  # noqa: F401
import mixed  # noqa: F401
import quiet  # noqa: F401
import shelves  # noqa: F401
import workshops  # noqa: F401
from drawing import write

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    print(f"{write(folder)} labelled traces in {folder}")
