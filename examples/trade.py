"""Trade: watch the positions, place a limit order, change it, cancel it, buy one lot at the market, see the fill.

Start a system first (``tapewire up``), then: python examples/trade.py [SYMBOL]. It goes on showing the positions
until Ctrl-C. The orders are of the token's first portfolio, which on a local system trades shares.
"""

import asyncio
import contextlib
import os
import signal
import sys
from decimal import Decimal

import tapewire


async def show_positions(portfolio: tapewire.Portfolio) -> None:
    async with portfolio.watch_positions() as positions:
        async for row in positions:
            what = row.symbol if row.is_currency else f"lots of {row.symbol}"
            print(f"{row.portfolio} holds {row.quantity_future_lots:f} {what}", flush=True)


async def taken(result: tapewire.Accepted | tapewire.Rejected | tapewire.Unknown) -> tapewire.OrderTicket:
    """Return the order of a command; one that did not do what it was for ends the program."""
    if isinstance(result, tapewire.Unknown):
        # Never repeat such a command: it may have been carried out. Look for what it has done.
        found = await result.resolve()
        if isinstance(found, tapewire.Accepted):
            return found.order
    elif isinstance(result, tapewire.Accepted):
        return result.order
    raise SystemExit(str(result))


async def trade(broker: tapewire.Broker, portfolio: tapewire.Portfolio, symbol: str) -> None:
    orders, mine = broker.orders, portfolio.name
    async with broker.book(symbol, depth=20) as books:
        book = await anext(books)
    if len(book.bids) < 2:
        raise SystemExit(f"nobody quotes {symbol} now")
    # Far behind the best one, so that nobody sells to us meanwhile. Prices of orders are decimals.
    price, better = (Decimal(repr(level.price)) for level in book.bids[:-3:-1])

    order = await taken(await orders.limit(symbol, "buy", lots=1, price=price, portfolio=mine))
    print("placed:", order, flush=True)
    order = await taken(await orders.replace(order, price=better, lots=1))
    print("replaced:", order, flush=True)
    order = await taken(await orders.cancel(order))
    print("cancelled:", order, flush=True)

    async with portfolio.watch_fills() as fills:
        order = await taken(await orders.market(symbol, "buy", lots=1, portfolio=mine))
        print("placed:", order, flush=True)
        async for fill in fills:
            if fill.order_number == order.number:
                print(f"filled: {fill.side} {fill.quantity_lots} {fill.symbol} at {fill.price:f}", flush=True)
                break


async def main(symbol: str) -> None:
    async with tapewire.connect() as broker, asyncio.TaskGroup() as tasks:
        portfolio = broker.portfolio(broker.portfolios[0])
        tasks.create_task(show_positions(portfolio))
        tasks.create_task(trade(broker, portfolio, symbol))


if __name__ == "__main__":
    # A request to end is obeyed as Ctrl-C is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "SBER"))
        except* BrokenPipeError:
            # Whoever read has gone (| head). Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except* tapewire.TapewireError as errors:
            sys.exit(str(errors.exceptions[0]))
