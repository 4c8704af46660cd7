"""The client for scripts and notebooks: the same names without ``async``, on a thread that has the loop.

::

    with tapewire.sync.connect() as broker:
        for book in broker.book("SBER"):
            print(book.bids[0].price)

It has no callbacks (``broker.on_trades`` …): a thread that iterates does the same. Errors are those of the
asynchronous client. Any number of threads may use one broker; leaving the block ends its
thread, loop and sockets. Inside a running loop, as in a notebook, it works too, and holds that loop up meanwhile.
"""

from tapewire.sync.broker import Broker, Connecting, Events, OrderGroups, Orders, Portfolio, connect
from tapewire.sync.stream import Stream

__all__ = ["Broker", "Connecting", "Events", "OrderGroups", "Orders", "Portfolio", "Stream", "connect"]
