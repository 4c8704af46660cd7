"""Print the best prices of an instrument whenever they change.

Start a system first (``tapewire up``), then: python examples/best_prices.py [SYMBOL]
"""

import asyncio
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
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "SBER"))
    except KeyboardInterrupt:
        pass
    except tapewire.TapewireError as error:
        sys.exit(str(error))
