"""Sum up what is bought and sold on several tapes at once, in batches, losing nothing.

Start a system first (``tapewire up``), then: python examples/tape_volume.py SBER GAZP LKOH
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter

import tapewire


async def read_tape(broker: tapewire.Broker, symbol: str, lots: Counter[tuple[str, str]]) -> None:
    async with broker.trades(symbol, depth=1_000) as trades:
        async for batch in trades.batches():
            for trade in batch:
                lots[symbol, trade.side] += trade.quantity


async def report(lots: Counter[tuple[str, str]], symbols: list[str]) -> None:
    while True:
        await asyncio.sleep(1)
        sides = (tapewire.Side.BUY, tapewire.Side.SELL)
        print(
            "   ".join(f"{symbol} +{lots[symbol, sides[0]]} -{lots[symbol, sides[1]]}" for symbol in symbols),
            flush=True,
        )


async def main(symbols: list[str]) -> None:
    lots: Counter[tuple[str, str]] = Counter()
    async with tapewire.connect() as broker, asyncio.TaskGroup() as tasks:
        for symbol in symbols:
            tasks.create_task(read_tape(broker, symbol, lots))
        tasks.create_task(report(lots, symbols))


if __name__ == "__main__":
    # A request to end is obeyed as Ctrl-C is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(main(sys.argv[1:] or ["SBER", "GAZP", "LKOH"]))
        except* BrokenPipeError:
            # Whoever read has gone (| head). Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except* tapewire.TapewireError as errors:
            sys.exit(str(errors.exceptions[0]))
