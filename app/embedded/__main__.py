"""`python -m app.embedded`: the same as `clew embedded`."""

from __future__ import annotations

from app.cli.__main__ import main

if __name__ == "__main__":
    import sys

    sys.argv.insert(1, "embedded")
    main()
