"""What a trading day changes of an instrument: status, price limits, margins, theoretical price."""

from __future__ import annotations

import msgspec

from tapewire.model import UNSET, Instrument, InstrumentKind, InstrumentUpdate, TradingStatus

__all__ = ["STATUS_TEXTS", "Rules"]

#: Source: reference of subscriptions, section 7.4 (17 and 18); the others by the exchange's own words.
STATUS_TEXTS = {
    TradingStatus.BREAK: "перерыв в торгах",
    TradingStatus.NORMAL: "нормальный период торгов",
    TradingStatus.CLOSED: "нет торгов / торги закрыты",
    TradingStatus.CLOSING_AUCTION: "аукцион закрытия",
    TradingStatus.CLOSING_PERIOD: "период закрытия",
    TradingStatus.LARGE_BLOCKS: "аукцион крупных пакетов",
    TradingStatus.DISCRETE_AUCTION: "дискретный аукцион",
    TradingStatus.OPENING_PERIOD: "период открытия",
    TradingStatus.OPENING_AUCTION: "аукцион открытия",
    TradingStatus.CLOSING_PRICE_TRADING: "торги по цене аукциона закрытия",
}


class Rules:
    """The full state of an instrument's rules, and the number of changes that led to it."""

    def __init__(self, instrument: Instrument) -> None:
        """Begin with the terms of the listing, in the normal period of trading."""
        low, high = instrument.price_band_ticks
        #: Every field that the instrument has; the others stay unset for ever.
        self.state = InstrumentUpdate(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            board=instrument.board,
            trading_status=TradingStatus.NORMAL,
            trading_status_info=STATUS_TEXTS[TradingStatus.NORMAL],
            price_min=instrument.price_float(low),
            price_max=instrument.price_float(high),
            margin_buy=UNSET if instrument.margin_buy is None else float(instrument.margin_buy),
            margin_sell=UNSET if instrument.margin_sell is None else float(instrument.margin_sell),
            volatility=0.0 if instrument.kind is InstrumentKind.OPTION else UNSET,
        )
        #: Changes since the start of the venue.
        self.sequence = 0

    def change(self, update: InstrumentUpdate) -> InstrumentUpdate | None:
        """Take over what ``update`` says; return the part of it that is new, or None if nothing is."""
        news = {
            name: value
            for name in update.__struct_fields__
            if (value := getattr(update, name)) is not UNSET and value != getattr(self.state, name)
        }
        if not news:
            return None
        self.state = msgspec.structs.replace(self.state, **news)
        self.sequence += 1
        return InstrumentUpdate(**({"symbol": self.state.symbol} | news))
