"""The trade tape: public prints in their order."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Side

__all__ = ["Trade"]


class Trade(Record, frozen=True, kw_only=True, gc=False):
    """One public print. ``id`` never decreases along the tape of an instrument.

    ``time_ms`` is event time, Unix ms UTC. Source: reference of subscriptions, section 7.5.
    """

    #: Number given by the exchange; larger than 2^32.
    id: Annotated[int, Wire("id")]
    #: Anonymised by the broker: 0 or a text.
    order_number: Annotated[Maybe[int | str], Wire("orderno", None, None)] = UNSET
    #: Seen by two clients, not documented.
    exchange_order_id: Annotated[Maybe[str | None], Wire(None, "eid", None)] = UNSET
    symbol: Annotated[str, Wire("symbol", "sym")]
    board: Annotated[str, Wire("board", "bd")]
    #: Lots.
    quantity: Annotated[int, Wire("qty", "q")]
    price: Annotated[float, Wire("price", "px")]
    #: ISO-8601 UTC with seven fraction digits: the same instant as ``time_ms``.
    time: Annotated[Maybe[str], Wire("time", None)] = UNSET
    time_ms: Annotated[int, Wire("timestamp", "t")]
    #: Open interest after the trade, contracts.
    open_interest: Annotated[int | None, Wire("oi")]
    #: True: part of the history that ``depth`` asked for. False: live.
    existing: Annotated[bool, Wire("existing", "h")]
    #: Side of the aggressor.
    side: Annotated[Side, Wire("side", "s")]
