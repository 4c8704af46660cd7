"""Print the best prices of an instrument whenever they change.

Start a system first (``tapewire up``), then: python examples/best_prices.py [SYMBOL]
"""

import asyncio
import os
import signal
import sys

import tapewire


async def main(symbol: str) -> None:
    async with tapewire.connect() as broker, broker.book(symbol, depth=1) as books:
        shown = None
        async for book in books:
            best = book.bids[:1], book.asks[:1]
            if best != shown:
                shown = best
                bid = f"{book.bids[0].volume} @ {book.bids[0].price}" if book.bids else "nobody buys"
                ask = f"{book.asks[0].volume} @ {book.asks[0].price}" if book.asks else "nobody sells"
                print(f"{symbol}: {bid}  |  {ask}", flush=True)


if __name__ == "__main__":
    # A request to end is obeyed as Ctrl-C is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "SBER"))
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read has gone (| head). Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except tapewire.TapewireError as error:
        sys.exit(str(error))
