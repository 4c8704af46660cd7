"""What the matching core may be asked. Whole ticks and whole lots only: nothing here rounds."""

from __future__ import annotations

import msgspec

from tapewire.model import Side, TimeInForce

__all__ = ["Cancel", "Command", "Place", "SetRules"]


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Place an order for ``account``.

    ``instrument`` is the position of the instrument in the list that the exchange was made with.
    """

    account: str
    instrument: int
    side: Side
    lots: int
    #: The worst acceptable price; None: a market order.
    price_ticks: int | None
    time_in_force: TimeInForce = TimeInForce.ONE_DAY
    #: Whether the account agrees to owe money or securities for it.
    allow_margin: bool = False


class Cancel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel what still rests of an order of ``account``."""

    account: str
    order_id: int


class SetRules(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Change what the orders of an instrument must keep to: the exchange's own command, when a day turns."""

    instrument: int
    #: The lowest and the highest price that an order may carry from now on.
    price_band_ticks: tuple[int, int]
    #: Whether orders are taken; cancellations always are.
    is_open: bool


Command = Place | Cancel | SetRules
