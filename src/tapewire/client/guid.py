"""Names of requests: drawn, so that none is ever the same as another's."""

from __future__ import annotations

import random

__all__ = ["new_guid"]


def new_guid(rng: random.Random) -> str:
    """Draw a guid of 32 characters, as long as all of this client's."""
    return f"{rng.getrandbits(128):032x}"
