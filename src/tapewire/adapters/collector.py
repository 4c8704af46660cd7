"""The cyclic garbage collector of a process that is a server."""

from __future__ import annotations

import gc

__all__ = ["relax_collector"]

#: Objects made before the young ones are looked at, and young looks before older ones are. A market makes
#: thousands of objects a second that die by themselves; with Python's 700 the collector takes an eighth of a
#: gateway's time, and a look at everything stops the loop for tens of milliseconds.
_THRESHOLDS = (50_000, 20, 50)


def relax_collector() -> None:
    """Leave what exists now out of all collections, and collect seldom from now on.

    For the whole process, so it is the program that calls this, when all that lives long is there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
