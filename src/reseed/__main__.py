"""`python -m reseed` is `reseed`."""

from __future__ import annotations

from reseed.cli import main

if __name__ == "__main__":
    main()
