"""Print the average close of an instrument's last 20 minutes whenever it changes.

Start a system first (``tapewire up``), then: python examples/average.py [SYMBOL]
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta

import tapewire

MINUTES = 20


async def main(symbol: str) -> None:
    async with tapewire.connect() as broker:
        past = await broker.history(symbol, "1m", since=timedelta(days=5))
        closes = {bar.time_s: bar.close for bar in past[-MINUTES:]}
        ended = asyncio.Event()

        @broker.on_bars(symbol, "1m")
        def minute(bar: tapewire.Bar) -> None:
            closes[bar.time_s] = bar.close  # the running bar comes again and again
            while len(closes) > MINUTES:
                del closes[min(closes)]
            try:
                print(f"{symbol}: {sum(closes.values()) / len(closes):.2f} over {len(closes)} minutes", flush=True)
            except BrokenPipeError:
                # What a function raises stays with it, so whoever waits is told.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ended.set()

        await ended.wait()


if __name__ == "__main__":
    # A request to end is obeyed as Ctrl-C is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "SBER"))
    except KeyboardInterrupt:
        pass
    except tapewire.TapewireError as error:
        sys.exit(str(error))
