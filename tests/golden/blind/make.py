"""Write traces/ and labels.json beside this file: python make.py [FOLDER].

The set was drawn and labelled from the rules of judgement alone, without sight of the engine: what it measures is
whether the engine is right about traces its author never saw. Only found.py was drawn afterwards. A label holds what
the rules determine, a list where they allow several answers; `why` names the rule it rests on and `doubt` says what is
arguable.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Importing a module adds its traces to the album, in this order.
import balance  # noqa: F401
import damage  # noqa: F401
import engines  # noqa: F401
import found  # noqa: F401
import frameworks  # noqa: F401
import identity  # noqa: F401
import proxies  # noqa: F401
import stores  # noqa: F401
import traps  # noqa: F401
import ways  # noqa: F401
from drawing import write

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    print(f"{write(folder)} labelled traces in {folder}")
