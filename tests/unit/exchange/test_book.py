from tapewire.exchange import OrderBook, RestingOrder
from trading import BUY, SELL


def book_of(*orders):
    book = OrderBook()
    for number, (side, price_ticks, lots) in enumerate(orders, start=1):
        book.rest(RestingOrder(number, "A", 0, side, price_ticks, lots))
    return book


def test_both_sides_are_read_apart():
    book = book_of((BUY, 99, 2), (SELL, 101, 3), (SELL, 102, 4))

    assert (book.best_bid, book.best_ask) == (99, 101)
    assert book.levels(SELL, 9) == [(101, 3), (102, 4)]
    assert (book.best_lots(BUY), book.best_lots(SELL)) == (2, 3)
    assert (book.total_lots(BUY), book.total_lots(SELL)) == (2, 7)


def test_would_trade_and_could_fill_look_at_the_other_side():
    book = book_of((BUY, 99, 2), (SELL, 101, 3))

    assert book.would_trade(BUY, 101)
    assert not book.would_trade(BUY, 100)
    assert book.would_trade(SELL, 99)
    assert book.could_fill(BUY, 101, 3)
    assert not book.could_fill(BUY, 101, 4)


def test_the_version_grows_with_every_change_and_only_then():
    book = book_of((SELL, 101, 3))
    versions = [book.version]
    book.rest(RestingOrder(7, "A", 0, BUY, 99, 1))
    versions.append(book.version)
    book.match(BUY, 101, 1)
    versions.append(book.version)
    book.withdraw(next(book.orders(BUY)))
    versions.append(book.version)
    assert versions == sorted(set(versions))

    assert book.match(BUY, 100, 1) == []
    book.levels(SELL, 9)
    assert book.version == versions[-1]
