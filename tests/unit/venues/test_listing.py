from decimal import Decimal

import pytest

from tapewire.exchange import Exchange
from tapewire.market import BOND_TERMS, catalogue
from tapewire.model import UNSET, InstrumentKind, StreamPosition
from tapewire.venues.listing import BOOK_DEPTH_MAX, Listing
from trading import BUY, SELL, FakeClock, instrument, place, trades

START_NS = FakeClock().now_ns
LATER_NS = START_NS + 2_125_000_000


class Stage:
    """An exchange with one instrument and its listing."""

    def __init__(self, listed=None):
        self.core = Exchange([listed or instrument()])
        listed = self.core.instruments[0]
        terms = BOND_TERMS.get(listed.symbol)
        self.listing = Listing(listed, self.core.book(0), terms, epoch="e", at_ns=START_NS)

    def place(self, side, *args, account=None, at_ns=LATER_NS):
        command = place(side, *args, account=account or side.value)
        prints = [self.listing.note_trade(trade) for trade in trades(self.core.apply(command, at_ns=at_ns))]
        self.listing.note_change(at_ns)
        return prints


def test_an_empty_book_is_dated_at_the_start():
    position, book = Stage().listing.book()

    assert position == StreamPosition("e", 0)
    assert (book.bids, book.asks) == ((), ())
    assert (book.time_ms, book.time_s) == (START_NS // 10**6, START_NS // 10**9)
    assert (book.existing, book.snapshot) == (False, False)


def test_the_book_shows_levels_best_first_with_their_time():
    stage = Stage()
    stage.place(BUY, 3, 999)
    stage.place(BUY, 4, 1000)
    stage.place(SELL, 5, 1001)
    stage.place(SELL, 6, 1001)

    position, book = stage.listing.book()

    assert [(level.price, level.volume) for level in book.bids] == [(10.0, 4), (9.99, 3)]
    assert [(level.price, level.volume) for level in book.asks] == [(10.01, 11)]
    assert book.asks[0].yield_percent is UNSET
    assert book.time_ms == LATER_NS // 10**6
    assert position == StreamPosition("e", 4)


def test_a_deep_book_is_cut_to_what_can_be_asked_for():
    stage = Stage()
    for step in range(BOOK_DEPTH_MAX + 5):
        stage.place(BUY, 1, 1000 - step)

    assert len(stage.listing.book().record.bids) == BOOK_DEPTH_MAX


def test_an_unchanged_state_is_made_once():
    stage = Stage()
    stage.place(BUY, 3, 999)

    book, quote = stage.listing.book(), stage.listing.quote()
    assert stage.listing.book() is book
    assert stage.listing.quote() is quote
    stage.place(BUY, 3, 999)
    assert stage.listing.book() is not book
    assert stage.listing.quote() is not quote


def test_note_change_says_whether_the_book_moved():
    stage = Stage()
    stage.core.apply(place(BUY, 1, 999), at_ns=0)

    assert stage.listing.note_change(LATER_NS)
    assert not stage.listing.note_change(LATER_NS + 1)


def test_a_quote_before_the_first_trade_shows_the_close():
    quote = Stage().listing.quote().record

    assert quote.last_price == quote.open_price == quote.high_price == quote.low_price == 10.0
    assert (quote.bid, quote.ask, quote.bid_volume, quote.ask_volume) == (None, None, 0, 0)
    assert (quote.volume, quote.change, quote.change_percent) == (0.0, 0.0, 0.0)
    assert quote.last_price_time_s == START_NS // 10**9
    assert (quote.yield_percent, quote.accrued_interest, quote.open_interest) == (None, 0.0, None)


def test_a_quote_after_trades_has_the_figures_of_the_session():
    stage = Stage()
    stage.place(SELL, 5, 1003)
    stage.place(SELL, 5, 1005)
    stage.place(BUY, 7, 1005)
    stage.place(BUY, 4, 990)
    stage.place(SELL, 1, 990)

    quote = stage.listing.quote().record

    assert (quote.open_price, quote.high_price, quote.low_price, quote.last_price) == (
        10.03,
        10.05,
        9.9,
        9.9,
    )
    assert quote.volume == 8.0
    assert (quote.prev_close_price, quote.change, quote.change_percent) == (10.0, -0.1, -1.0)
    assert (quote.bid, quote.bid_volume, quote.total_bid_volume) == (9.9, 3, 3)
    assert (quote.ask, quote.ask_volume, quote.total_ask_volume) == (10.05, 3, 3)
    assert quote.last_price_time_s == LATER_NS // 10**9
    assert quote.book_time_ms == LATER_NS // 10**6
    assert (quote.lot_size, quote.lot_value, quote.face_value) == (10.0, 99.0, 3.0)
    assert (quote.symbol, quote.description, quote.type, quote.currency) == ("TEST", "TEST ао", "CS", "RUB")


def test_a_bond_has_interest_and_yields():
    bond = next(listed for listed in catalogue() if listed.kind is InstrumentKind.BOND)
    stage = Stage(bond)
    stage.place(SELL, 1, bond.prev_close_ticks)
    stage.place(SELL, 1, bond.prev_close_ticks - 1000)
    stage.place(BUY, 1, bond.prev_close_ticks - 1000)

    quote = stage.listing.quote().record
    level = stage.listing.book().record.asks[0]

    assert 0 < quote.accrued_interest < 35.4
    assert quote.accrued_interest_old == quote.accrued_interest
    assert 12 < level.yield_percent < quote.yield_percent < 20
    assert quote.lot_value == pytest.approx(quote.last_price * 10)


def test_a_future_counts_its_open_interest():
    stage = Stage(instrument(kind=InstrumentKind.FUTURE))
    stage.place(SELL, 5, 1003, account="S")
    (printed,) = stage.place(BUY, 2, 1003, account="B")

    assert printed.open_interest == 2
    assert stage.listing.quote().record.open_interest == 2


def test_a_trade_record_says_what_where_and_when():
    stage = Stage()
    stage.place(SELL, 5, 1003)
    (printed,) = stage.place(BUY, 2, None)

    live = stage.listing.trade(printed, existing=False)

    assert (live.symbol, live.board, live.order_number) == ("TEST", "TQBR", 0)
    assert (live.price, live.quantity, live.side, live.open_interest) == (10.03, 2, BUY, 0)
    assert (live.time, live.time_ms) == ("2026-11-02T07:00:02.1250000Z", LATER_NS // 10**6)
    assert live.id > 2**32
    assert not live.existing
    assert stage.listing.trade(printed, existing=True).existing
    assert stage.listing.tape_position == StreamPosition("e", 1)


@pytest.mark.parametrize("tick", ["0.01", "0.5", "0.000005", "10", "0.0025", "0.2"])
def test_prices_are_the_doubles_of_the_instrument(tick):
    low, high = 4_000, 4_050
    listed = instrument(tick_size=Decimal(tick), price_band_ticks=(low, high), prev_close_ticks=4_020)
    stage = Stage(listed)
    for ticks in range(low, high):
        stage.place(BUY, 1, ticks)

    prices = [level.price for level in stage.listing.book().record.bids]
    assert prices == [listed.price_float(ticks) for ticks in reversed(range(low, high))]
