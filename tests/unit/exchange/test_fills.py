from tapewire.exchange import FillRow, Fills, fills
from trading import BUY


def row(number, account="D1"):
    return FillRow(
        trade_id=number,
        order_id=1,
        account=account,
        instrument=0,
        side=BUY,
        lots=1,
        price_ticks=1000,
        interest=0,
        commission=0,
        comment=None,
        day=1,
        at_ns=0,
    )


def test_fills_are_kept_for_each_account_oldest_first():
    kept = Fills([row(1), row(2, "D2"), row(3)])

    assert [fill.trade_id for fill in kept.all()] == [1, 2, 3]
    assert [fill.trade_id for fill in kept.of("D1")] == [1, 3]
    assert kept.last("D1", 1) == [row(3)]
    assert kept.last("D1", 0) == kept.last("D9", 0) == []
    assert list(kept.of("D9")) == []


def test_the_oldest_of_all_go_first(monkeypatch):
    monkeypatch.setattr(fills, "FILLS_MAX", 3)
    kept = Fills([row(1), row(2, "D2"), row(3), row(4, "D2"), row(5)])

    assert [fill.trade_id for fill in kept.all()] == [3, 4, 5]
    assert [fill.trade_id for fill in kept.of("D1")] == [3, 5]
    assert [fill.trade_id for fill in kept.of("D2")] == [4]
