from tapewire.exchange import Traded
from tapewire.venues.tape import TAPE_TRADES_MAX, Tape
from trading import BUY


def trade(number):
    return Traded(
        trade_id=number,
        instrument=0,
        price_ticks=1000,
        lots=1,
        aggressor=BUY,
        buy_order_id=1,
        sell_order_id=2,
        buyer="B",
        seller="S",
        at_ns=number * 10,
    )


def tape_of(count):
    tape = Tape()
    for number in range(1, count + 1):
        tape.append(trade(number), open_interest=0)
    return tape


def test_the_last_trades_come_oldest_first():
    tape = tape_of(5)

    assert [printed.id for printed in tape.last(3)] == [3, 4, 5]
    assert [printed.id for printed in tape.last(99)] == [1, 2, 3, 4, 5]
    assert tape.last(0) == []
    assert tape.sequence == 5


def test_a_print_is_the_public_part_of_the_trade():
    printed = Tape().append(trade(7), open_interest=12)

    assert (printed.id, printed.price_ticks, printed.lots) == (7, 1000, 1)
    assert (printed.aggressor, printed.at_ns, printed.open_interest) == (BUY, 70, 12)


def test_the_oldest_trades_are_forgotten_but_counted():
    tape = tape_of(TAPE_TRADES_MAX + 3)

    assert len(tape.last(10 * TAPE_TRADES_MAX)) == TAPE_TRADES_MAX
    assert tape.last(TAPE_TRADES_MAX)[0].id == 4
    assert tape.sequence == TAPE_TRADES_MAX + 3
