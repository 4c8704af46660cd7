from decimal import Decimal

import msgspec
import pytest

from accounting import BOND, DAY, FUTURE, OPTION, PAIR, PRIVATE, SHARE, Desk, instruments, opened
from tapewire.exchange import Accounts, AccountsState, CommissionRates, Place, Refusal
from tapewire.model import ClientType, TimeInForce, TradingCode
from trading import BUY, SELL

LOW = ClientType.LOW_RISK
ROUBLE = 1_000_000


def code(outcome):
    return outcome.code if isinstance(outcome, Refusal) else None


def state(desk, name):
    return desk.accounts.account(name).state


def power(desk, name):
    found = state(desk, name)
    return (found.cash - found.blocked) / ROUBLE


# What is refused.


def test_the_markets_own_participants_are_never_refused():
    assert code(Desk().place("~maker-1", BUY, 1_000_000, 1000)) is None


@pytest.mark.parametrize(
    ("terms", "listed", "refused"),
    [
        (opened("D1"), FUTURE, TradingCode.INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT),
        (opened("G1"), SHARE, TradingCode.INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT),
        (opened("751"), PAIR, TradingCode.INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT),
        (opened("D1", is_blocked=True), SHARE, TradingCode.CLIENT_BLOCKED),
        (opened("D2"), SHARE, TradingCode.CLIENT_BLOCKED),
        (opened("751", tests_passed=frozenset({"3"})), FUTURE, TradingCode.INVALID_COMPLEX_PRODUCT_CATEGORY),
        (opened("751", tests_passed=frozenset({"9"})), FUTURE, None),
        (opened("G1"), PAIR, None),
        (opened("D1"), BOND, None),
        (opened("751"), OPTION, None),
    ],
)
def test_who_may_trade_what(terms, listed, refused):
    name = "D1" if terms.name == "D2" else terms.name
    assert code(Desk(terms).place(name, BUY, 1, 1000 if listed != BOND else 10_000, instrument=listed)) is refused


def test_cash_that_pays_needs_no_price_and_a_kopeck_less_is_not_enough():
    desk = Desk(opened("D1", "100.05", commission=CommissionRates(shares=Decimal("0.0005")), client_type=LOW))
    desk.prices[SHARE] = None
    assert code(desk.place("D1", BUY, 1, 1000)) is None
    poorer = Desk(opened("D1", "100.04", commission=CommissionRates(shares=Decimal("0.0005")), client_type=LOW))
    assert code(poorer.place("D1", BUY, 1, 1000)) is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN


@pytest.mark.parametrize(
    ("client", "lots", "allow", "refused"),
    [
        (LOW, 10, False, None),
        (LOW, 11, False, TradingCode.LOW_RISK_MARGINAL_FORBIDDEN),
        (LOW, 25, True, None),
        (LOW, 26, True, TradingCode.NOT_ENOUGH_CASH),
        (LOW, 26, False, TradingCode.NOT_ENOUGH_CASH),
        (ClientType.STANDARD_RISK, 50, False, None),
        (ClientType.STANDARD_RISK, 51, True, TradingCode.NOT_ENOUGH_CASH),
        (ClientType.HIGH_RISK, 100, False, None),
        (ClientType.HIGH_RISK, 101, False, TradingCode.NOT_ENOUGH_CASH),
    ],
)
def test_a_purchase_beyond_the_cash_needs_margin(client, lots, allow, refused):
    # 1,000 roubles; a lot costs 100, and backs itself but for 40, 20 or 10 of them.
    desk = Desk(opened("D1", 1000, client_type=client))
    assert code(desk.place("D1", BUY, lots, 1000, allow_margin=allow)) is refused


@pytest.mark.parametrize(
    ("client", "lots", "allow", "refused"),
    [
        (LOW, 1, False, TradingCode.LOW_RISK_MARGINAL_FORBIDDEN),
        (LOW, 20, True, None),
        (LOW, 21, True, TradingCode.ORDER_CREATES_UNCOVERED_RISK),
        (ClientType.STANDARD_RISK, 40, False, None),
        (ClientType.STANDARD_RISK, 41, False, TradingCode.ORDER_CREATES_UNCOVERED_RISK),
    ],
)
def test_a_short_sale_needs_margin(client, lots, allow, refused):
    desk = Desk(opened("D1", 1000, client_type=client))
    assert code(desk.place("D1", SELL, lots, 1000, allow_margin=allow)) is refused


def test_what_is_held_is_sold_without_a_question_but_once():
    desk = Desk(opened("D1", 1000, client_type=LOW))
    desk.trade("D1", BUY, 5, 1000)
    assert code(desk.place("D1", SELL, 3, 1010)) is None
    assert code(desk.place("D1", SELL, 2, 1010)) is None
    assert code(desk.place("D1", SELL, 1, 1010)) is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN


@pytest.mark.parametrize("listed", [BOND, PRIVATE])
def test_what_cannot_be_sold_short_is_refused_as_such(listed):
    price = 10_000 if listed == BOND else 1000
    desk = Desk(opened("D1"))
    assert code(desk.place("D1", SELL, 1, price, instrument=listed)) is TradingCode.INSTRUMENT_CANT_BE_SHORT_SELLED


def test_what_is_not_marginal_is_bought_for_cash_only_and_backs_nothing():
    desk = Desk(opened("D1", 1000))
    assert (
        code(desk.place("D1", BUY, 11, 1000, instrument=PRIVATE, allow_margin=True)) is TradingCode.NOT_ENOUGH_CASH
    )
    desk.trade("D1", BUY, 10, 1000, instrument=PRIVATE)
    assert code(desk.place("D1", BUY, 1, 1000, allow_margin=True)) is TradingCode.NOT_ENOUGH_CASH


def test_an_order_on_margin_needs_a_price_for_all_that_is_held():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", BUY, 5, 1000)
    desk.prices[SHARE] = None
    assert code(desk.place("D1", BUY, 6, 1000)) is TradingCode.NO_ORDER_PRICE_FOUND
    assert code(desk.place("D1", SELL, 6, 1000)) is TradingCode.NO_ORDER_PRICE_FOUND
    assert code(desk.place("D1", SELL, 5, 1000)) is None


def test_a_short_position_may_always_be_closed():
    share, *others = instruments()
    wide = msgspec.structs.replace(share, price_band_ticks=(500, 2000))
    desk = Desk(opened("D1", 1000), listed=(wide, *others))
    desk.trade("D1", SELL, 40, 1000)
    desk.prices[SHARE] = 1300  # 5,000 roubles against a debt of 5,200
    assert code(desk.place("D1", BUY, 41, 1300)) is TradingCode.NOT_ENOUGH_CASH
    assert code(desk.place("D1", BUY, 40, 1300)) is None
    assert code(desk.place("D1", BUY, 1, 1300)) is TradingCode.NOT_ENOUGH_CASH


def test_an_order_far_from_the_price_needs_margin_for_the_distance_too():
    # Bought at 11.00 what is worth 10.00: each of 33 lots costs 20 of margin and 10 of loss.
    desk = Desk(opened("D1", 1000))
    assert code(desk.place("D1", BUY, 34, 1100)) is TradingCode.NOT_ENOUGH_CASH
    assert code(desk.place("D1", BUY, 33, 1100)) is None


@pytest.mark.parametrize(
    ("side", "lots", "refused"),
    [
        (BUY, 5, None),
        (BUY, 6, TradingCode.INSUFFICIENT_CLIENT_FUNDS),
        (SELL, 3, None),
        (SELL, 4, TradingCode.INSUFFICIENT_CLIENT_FUNDS),
    ],
)
def test_contracts_need_their_collateral(side, lots, refused):
    desk = Desk(opened("751", 1000))
    assert code(desk.place("751", side, lots, 1000, instrument=FUTURE)) is refused


def test_the_commission_of_contracts_is_blocked_with_them():
    desk = Desk(opened("751", 1000, commission=CommissionRates(contract=Decimal("0.5"))))
    assert code(desk.place("751", BUY, 5, 1000, instrument=FUTURE)) is TradingCode.INSUFFICIENT_CLIENT_FUNDS
    assert code(desk.place("751", BUY, 4, 1000, instrument=FUTURE)) is None
    assert (state(desk, "751").collateral, state(desk, "751").blocked) == (800 * ROUBLE, 2 * ROUBLE)


def test_orders_of_both_sides_share_collateral():
    desk = Desk(opened("751", 1000))
    assert code(desk.place("751", SELL, 3, 1010, instrument=FUTURE)) is None
    assert code(desk.place("751", BUY, 4, 1000, instrument=FUTURE)) is None
    assert state(desk, "751").collateral == 900 * ROUBLE


def test_contracts_are_closed_without_free_money():
    desk = Desk(opened("751", 1000))
    desk.trade("751", BUY, 5, 1000, instrument=FUTURE)
    desk.prices[FUTURE] = 950
    assert code(desk.place("751", BUY, 1, 950, instrument=FUTURE)) is TradingCode.INSUFFICIENT_CLIENT_FUNDS
    assert code(desk.place("751", SELL, 5, 950, instrument=FUTURE)) is None
    assert code(desk.place("751", SELL, 1, 950, instrument=FUTURE)) is TradingCode.INSUFFICIENT_CLIENT_FUNDS


def test_a_client_of_low_risk_must_allow_margin_for_every_contract():
    desk = Desk(opened("751", client_type=LOW))
    assert code(desk.place("751", BUY, 1, 1000, instrument=FUTURE)) is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN
    assert code(desk.place("751", BUY, 1, 1000, instrument=FUTURE, allow_margin=True)) is None


def test_a_contract_without_a_price_is_refused():
    desk = Desk(opened("751"))
    desk.prices[FUTURE] = None
    assert code(desk.place("751", BUY, 1, 1000, instrument=FUTURE)) is TradingCode.NO_ORDER_PRICE_FOUND


def test_a_replaced_order_counts_as_free_and_nothing_changes():
    desk = Desk(opened("D1", 1000, client_type=LOW))
    number = desk.place("D1", BUY, 10, 1000)
    larger = Place(account="D1", instrument=SHARE, side=BUY, lots=9, price_ticks=1100)
    before = desk.accounts.digest()

    assert code(desk.accounts.refusal(larger, 1100)) is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN
    assert desk.accounts.refusal(larger, 1100, replaces=number) is None
    assert (
        code(desk.accounts.refusal(larger, 1100, replaces=number + 1)) is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN
    )
    assert desk.accounts.digest() == before


@pytest.mark.parametrize(
    ("client", "account", "listed", "allow", "refused"),
    [
        (LOW, "D1", SHARE, False, TradingCode.LOW_RISK_MARGINAL_FORBIDDEN),
        (LOW, "D1", SHARE, True, None),
        (ClientType.STANDARD_RISK, "D1", SHARE, False, None),
        (LOW, "D1", FUTURE, True, TradingCode.INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT),
        (LOW, "D2", SHARE, True, TradingCode.CLIENT_BLOCKED),
        (LOW, "~maker-1", SHARE, False, None),
    ],
)
def test_a_conditional_order_needs_no_money_but_its_owners_consent(client, account, listed, allow, refused):
    order = Place(account=account, instrument=listed, side=BUY, lots=10**6, price_ticks=1000, allow_margin=allow)
    assert code(Desk(opened("D1", 0, client_type=client)).accounts.conditional_refusal(order)) is refused


# What events do.


def test_a_purchase_blocks_its_limit_pays_its_price_and_gives_the_rest_back():
    desk = Desk(opened("D1", 1000, commission=CommissionRates(shares=Decimal("0.001"))))
    number = desk.place("D1", BUY, 5, 1010)
    assert power(desk, "D1") == 1000 - 505 - 0.51
    desk.place("~maker-1", SELL, 2, 1000)  # meets at 10.10: the first to wait makes the price
    assert power(desk, "D1") == 1000 - 505 - 0.51
    assert state(desk, "D1").cash == (1000 - 202) * ROUBLE - 210_000
    desk.cancel("D1", number)
    assert power(desk, "D1") == 1000 - 202 - 0.21
    assert state(desk, "D1").blocked == 0


def test_a_purchase_below_its_limit_frees_the_difference_at_once():
    desk = Desk(opened("D1", 1000))
    desk.place("~maker-1", SELL, 2, 1000)
    desk.place("D1", BUY, 5, 1010)
    assert power(desk, "D1") == 1000 - 200 - 303


def test_the_commission_of_an_order_is_rounded_once_however_many_trades_it_takes():
    desk = Desk(opened("D1", 1000, commission=CommissionRates(shares=Decimal("0.00003"))))
    for _ in range(5):
        desk.place("~maker-1", SELL, 1, 1000)
    desk.place("D1", BUY, 5, 1000)
    assert state(desk, "D1").commission == desk.accounts.commissions == 20_000  # 500 * 0.00003 = 0.015


def test_a_market_order_leaves_nothing_blocked():
    desk = Desk(opened("D1", 1000))
    desk.place("~maker-1", SELL, 2, 1000)
    desk.place("D1", BUY, 5, None)
    assert state(desk, "D1").holdings[SHARE].lots == 2
    assert (state(desk, "D1").blocked, state(desk, "D1").orders) == (0, {})


def test_an_order_that_is_cancelled_at_once_leaves_nothing_blocked():
    desk = Desk(opened("D1", 1000), opened("751", 1000))
    desk.place("D1", BUY, 5, 1000, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    desk.place("751", BUY, 5, 1000, instrument=FUTURE, time_in_force=TimeInForce.FILL_OR_KILL)
    assert state(desk, "D1").blocked == state(desk, "751").collateral == 0


def test_a_trade_between_two_accounts_moves_money_and_lots_between_them():
    desk = Desk(opened("D1", 1000), opened("D2", 1000))
    desk.trade("D1", BUY, 4, 1000)
    desk.place("D1", SELL, 4, 1050)
    desk.place("D2", BUY, 3, 1060)
    assert [power(desk, name) for name in ("D1", "D2")] == [600 + 315, 1000 - 315]
    assert [state(desk, name).holdings[SHARE].lots for name in ("D1", "D2")] == [1, 3]


def test_an_account_that_trades_with_itself_pays_itself():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", BUY, 4, 1000)
    desk.place("D1", SELL, 4, 1050)
    desk.place("D1", BUY, 4, 1050)
    assert power(desk, "D1") == 600
    assert state(desk, "D1").holdings[SHARE].lots == 4


def test_shares_and_their_money_settle_when_the_day_turns():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", BUY, 4, 1000)
    holding = state(desk, "D1").holdings[SHARE]
    assert (holding.lots, holding.settled_lots, state(desk, "D1").cash_due) == (4, 0, -400 * ROUBLE)
    desk.turn()
    assert (holding.lots, holding.settled_lots, holding.open_lots, state(desk, "D1").cash_due) == (4, 4, 4, 0)


def test_a_bond_is_paid_with_the_interest_of_its_day():
    desk = Desk(opened("D1", 10_000), day=DAY + 10)
    accrued = desk.accounts.instruments[BOND].accrued
    assert accrued > 0
    desk.trade("D1", BUY, 3, 9_500, instrument=BOND)
    assert state(desk, "D1").cash == 10_000 * ROUBLE - 3 * (950 * ROUBLE + accrued)
    desk.turn()
    assert desk.accounts.instruments[BOND].accrued > accrued
    desk.trade("D1", SELL, 3, 9_500, instrument=BOND)
    assert state(desk, "D1").cash > 10_000 * ROUBLE


def test_a_coupon_is_paid_to_who_holds_the_bond_when_the_day_turns():
    desk = Desk(opened("D1", 10_000), opened("D2", 10_000), day=DAY - 1)  # paid on 2026-11-02
    desk.trade("D1", BUY, 3, 9_500, instrument=BOND)
    cash = state(desk, "D1").cash
    desk.turn()
    assert state(desk, "D1").cash - cash == desk.accounts.coupons == 3 * 35_400_000
    assert desk.accounts.instruments[BOND].accrued == 0
    assert state(desk, "D2").cash == 10_000 * ROUBLE


def test_orders_that_outlive_the_day_block_at_its_terms():
    desk = Desk(opened("D1", 10_000), opened("751", 1000))
    bond, future = (
        desk.place("D1", BUY, 1, 9_500, instrument=BOND),
        desk.place("751", BUY, 2, 1000, instrument=FUTURE),
    )
    blocked = state(desk, "D1").blocked
    margins = tuple((Decimal(250), Decimal(350)) if number == FUTURE else None for number in range(6))
    desk.turn(margins=margins)
    assert state(desk, "D1").blocked > blocked
    assert state(desk, "751").collateral == 500 * ROUBLE
    desk.cancel("D1", bond)
    desk.cancel("751", future)
    assert state(desk, "D1").blocked == state(desk, "751").collateral == 0


def test_variation_margin_is_settled_in_the_clearing_and_paid_when_the_day_turns():
    desk = Desk(opened("751", 10_000, commission=CommissionRates(contract=Decimal(2))))
    desk.trade("751", BUY, 3, 1000, instrument=FUTURE)
    desk.prices[FUTURE] = 1010
    desk.clear()
    assert (state(desk, "751").variation, state(desk, "751").cash) == (45 * ROUBLE, 10_000 * ROUBLE)
    desk.prices[FUTURE] = 990
    desk.clear()
    assert state(desk, "751").variation == -45 * ROUBLE
    desk.turn()
    assert state(desk, "751").cash == (10_000 - 45 - 6) * ROUBLE
    assert (state(desk, "751").variation, state(desk, "751").commission) == (0, 0)


# What is kept.


@pytest.mark.parametrize("encoding", [msgspec.json, msgspec.msgpack])
def test_a_snapshot_survives_an_encoding_and_restores_exactly(encoding):
    accounts = (opened("D1", 10_000), opened("G1", 10_000), opened("751", 10_000))
    desk = Desk(*accounts)
    desk.trade("D1", BUY, 3, 1000)
    desk.place("D1", BUY, 3, 990)
    desk.trade("751", SELL, 3, 1000, instrument=FUTURE)
    desk.turn(margins=((Decimal(1), Decimal(2)),) * 6)
    state = encoding.decode(encoding.encode(desk.accounts.snapshot()), type=AccountsState)

    restored = Accounts(instruments(), accounts, desk, day=0)
    assert restored.digest() != desk.accounts.digest()
    restored.restore(state)
    assert restored.digest() == desk.accounts.digest()
    assert restored.snapshot() == desk.accounts.snapshot()


def test_a_snapshot_is_not_reached_by_later_events():
    desk = Desk(opened("D1", 10_000))
    desk.trade("D1", BUY, 3, 1000)
    taken = desk.accounts.snapshot()
    desk.accounts.restore(taken)
    desk.trade("D1", BUY, 3, 1000)
    assert taken.accounts[0].holdings[SHARE].lots == 3


def test_a_snapshot_of_something_else_changes_nothing():
    desk = Desk(opened("D1"))
    before = desk.accounts.digest()
    taken = Desk(opened("D1"), opened("D2")).accounts.snapshot()
    with pytest.raises(ValueError, match="portfolios that are not here: D2"):
        desk.accounts.restore(taken)
    with pytest.raises(ValueError, match="another list of instruments"):
        desk.accounts.restore(msgspec.structs.replace(taken, symbols=("A",)))
    assert desk.accounts.digest() == before


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ([opened("D1", -1)], "begins with -1"),
        ([opened("D1", 100_000_000_001)], "not 0 to"),
        ([opened("D1", "NaN")], "D1"),
        ([opened("D1", "0.0000001")], "finer than a millionth"),
        ([opened("D1"), opened("D1")], "twice"),
        ([opened("E1")], "begins with none of"),
        ([opened("D1", client_type=ClientType.SPECIAL)], "a client of type Special"),
        ([opened("D1", commission=CommissionRates(shares=Decimal("0.0000001")))], "the commission of a share"),
    ],
)
def test_accounts_that_make_no_sense_are_refused(terms, text):
    with pytest.raises(ValueError, match=text):
        Desk(*terms)
