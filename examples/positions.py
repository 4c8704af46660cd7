"""A script without ``async``: what is held, and the next changes of a book.

Start a system first (``tapewire up``), then: python examples/positions.py [SYMBOL]
"""

import os
import signal
import sys

import tapewire


def main(symbol: str) -> None:
    with tapewire.sync.connect() as broker:
        for name in broker.portfolios:
            for position in broker.portfolio(name).positions():
                print(f"{name} holds {position.quantity} of {position.symbol}", flush=True)
        for book in broker.book(symbol, depth=1):
            if book.bids and book.asks:
                print(f"{symbol}: {book.bids[0].price} to {book.asks[0].price}", flush=True)


if __name__ == "__main__":
    # A request to end is obeyed as Ctrl-C is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "SBER")
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read has gone (| head). Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except tapewire.TapewireError as error:
        sys.exit(str(error))
