"""The instruments of the embedded market, those that are asked for most first.

Symbols, boards, names, lots and price steps are those of the Moscow Exchange; prices are of the size seen
there in 2024 and 2025 and belong to no day. Futures are those that expire in March 2027.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tapewire.market.activity import pace_of
from tapewire.market.bonds import BOND_TERMS
from tapewire.market.options import OPTION_TERMS
from tapewire.model import NEVER, Exchange, Instrument, InstrumentKind, OptionSide

__all__ = ["CATALOGUE_SIZE", "catalogue"]

#: Half-width of the price band, per cent of the previous close.
_SHARE_BAND_PERCENT = 10
_FUTURE_BAND_PERCENT = 8
_CURRENCY_BAND_PERCENT = 6
_BOND_BAND_PERCENT = 5
_OPTION_BAND_PERCENT = 40

#: Five-minute windows of the main session and the evening one: what a rating counts as a day.
_WINDOWS_A_DAY = 160

_ISINS = {
    "SBER": "RU0009029540",
    "GAZP": "RU0007661625",
    "LKOH": "RU0009024277",
    "SU26238RMFS4": "RU000A1038V6",
    "ROSN": "RU000A0J2Q06",
    "GMKN": "RU0007288411",
    "VTBR": "RU000A0JP5V6",
    "YDEX": "RU000A107T19",
    "MTLR": "RU000A0DKXV5",
    "NVTK": "RU000A0DKVS5",
    "TATN": "RU0009033591",
    "AFLT": "RU0009062285",
    "SBERP": "RU0009029557",
    "MOEX": "RU000A0JR4A1",
    "OZON": "RU000A10CW95",
    "PLZL": "RU000A0JNAA8",
    "VKCO": "RU000A106YF0",
    "CHMF": "RU0009046510",
    "ALRS": "RU0007252813",
    "MGNT": "RU000A0JKQU8",
    "NLMK": "RU0009046452",
    "SNGS": "RU0008926258",
    "TATNP": "RU0006944147",
    "PHOR": "RU000A0JRKT8",
    "SU26243RMFS4": "RU000A106E90",
}


def catalogue(count: int | None = None) -> tuple[Instrument, ...]:
    """Return the first ``count`` instruments, all by default, in a fixed order, the best known first.

    The first three are SBER, GAZP and LKOH; six and more include a future, a currency pair and a bond.

    Raises:
        ValueError: ``count`` is not between 1 and ``CATALOGUE_SIZE``.
    """
    if count is None:
        return _CATALOGUE
    if not 1 <= count <= CATALOGUE_SIZE:
        raise ValueError(f"the catalogue has 1 to {CATALOGUE_SIZE} instruments, not {count}")
    return _CATALOGUE[:count]


def _instrument(
    kind: InstrumentKind,
    board: str,
    symbol: str,
    short_name: str,
    description: str,
    *,
    type_code: str,
    lot_size: int,
    tick_size: str,
    prev_close: str,
    face_value: str,
    band_percent: int,
    margins: tuple[str, str] | None = None,
    cfi_code: str = "",
    cancels_on: date = NEVER,
    tick_value: str | None = None,
    risk_rates: tuple[str, str] = ("1", "1"),
    underlying: str = "",
    strike: str | None = None,
    option_side: OptionSide | None = None,
) -> Instrument:
    tick = Decimal(tick_size)
    prev_close_ticks, rest = divmod(Decimal(prev_close), tick)
    assert not rest, f"the close of {symbol} is no multiple of its step"
    close_ticks = int(prev_close_ticks)
    reach_ticks = close_ticks * band_percent // 100
    multiplier = Decimal(face_value) / 100 if kind is InstrumentKind.BOND else Decimal(1)
    pace = pace_of(symbol)
    lots_a_day = Decimal(round(pace.trades_per_window * pace.lots_per_trade * _WINDOWS_A_DAY))
    return Instrument(
        symbol=symbol,
        exchange=Exchange.MOEX,
        board=board,
        kind=kind,
        short_name=short_name,
        description=description,
        type_code=type_code,
        currency="RUB",
        lot_size=lot_size,
        tick_size=tick,
        face_value=Decimal(face_value),
        prev_close_ticks=close_ticks,
        price_band_ticks=(close_ticks - reach_ticks, close_ticks + reach_ticks),
        margin_buy=None if margins is None else Decimal(margins[0]),
        margin_sell=None if margins is None else Decimal(margins[1]),
        isin=_ISINS.get(symbol),
        cfi_code=cfi_code,
        cancels_on=cancels_on,
        tick_value=None if tick_value is None else Decimal(tick_value),
        rating=int(lots_a_day * lot_size * Decimal(prev_close) * multiplier),
        price_multiplier=multiplier,
        complex_product_category="9" if kind in (InstrumentKind.FUTURE, InstrumentKind.OPTION) else "",
        risk_rate_up=Decimal(risk_rates[0]),
        risk_rate_down=Decimal(risk_rates[1]),
        is_short_sell_possible=kind is not InstrumentKind.BOND,
        is_marginal=True,
        underlying=underlying,
        strike=None if strike is None else Decimal(strike),
        option_side=option_side,
    )


def _share(
    symbol: str,
    short_name: str,
    description: str,
    lot_size: int,
    tick_size: str,
    prev_close: str,
    face_value: str,
    type_code: str = "CS",
) -> Instrument:
    return _instrument(
        InstrumentKind.SHARE,
        "TQBR",
        symbol,
        short_name,
        description,
        type_code=type_code,
        lot_size=lot_size,
        tick_size=tick_size,
        prev_close=prev_close,
        face_value=face_value,
        band_percent=_SHARE_BAND_PERCENT,
        cfi_code="EPXXXX" if type_code == "PS" else "ESXXXX",
        risk_rates=("0.25", "0.2"),
    )


def _future(
    symbol: str,
    short_name: str,
    underlying: str,
    contract_size: str,
    tick_size: str,
    prev_close: str,
    margins: tuple[str, str],
    tick_value: str,
    cancels_on: date = date(2027, 3, 18),
) -> Instrument:
    name = f"Фьючерсный контракт {short_name}"
    # A lot is one contract; its size goes where the broker reports it, into the face value.
    return _instrument(
        InstrumentKind.FUTURE,
        "RFUD",
        symbol,
        short_name,
        f"{name} ({underlying})",
        type_code=name,
        lot_size=1,
        tick_size=tick_size,
        prev_close=prev_close,
        face_value=contract_size,
        band_percent=_FUTURE_BAND_PERCENT,
        margins=margins,
        cfi_code="FXXXXX",
        cancels_on=cancels_on,
        tick_value=tick_value,
        risk_rates=("0.17", "0.15"),
        underlying=short_name.partition("-")[0],
    )


def _currency(symbol: str, description: str, tick_size: str, prev_close: str) -> Instrument:
    return _instrument(
        InstrumentKind.CURRENCY,
        "CETS",
        symbol,
        symbol,
        description,
        type_code="FOR",
        lot_size=1000,
        tick_size=tick_size,
        prev_close=prev_close,
        face_value="1",
        band_percent=_CURRENCY_BAND_PERCENT,
        cfi_code="MRCXXX",
        risk_rates=("0.12", "0.1"),
    )


def _state_bond(symbol: str, number: str, prev_close_percent: str) -> Instrument:
    # Quoted in per cent of the face value.
    return _instrument(
        InstrumentKind.BOND,
        "TQOB",
        symbol,
        f"ОФЗ {number}",
        f"ОФЗ-ПД {number}",
        type_code="EUSOV",
        lot_size=1,
        tick_size="0.001",
        prev_close=prev_close_percent,
        face_value="1000",
        band_percent=_BOND_BAND_PERCENT,
        cfi_code="DBXXXX",
        cancels_on=BOND_TERMS[symbol].matures_on,
        risk_rates=("0.15", "0.12"),
    )


def _option(symbol: str, tick_size: str, prev_close: str, margins: tuple[str, str]) -> Instrument:
    terms = OPTION_TERMS[symbol]
    strike = str(int(terms.strike))
    # A lot is one contract on one future, whose size it takes.
    return _instrument(
        InstrumentKind.OPTION,
        "ROPD",
        symbol,
        f"Si-3.27M180327CA{strike}",
        f"Марж. амер. Call {strike} с исп. 18 марта на фьюч. контр. Si-3.27",
        type_code=f"Опцион Call {strike} на фьючерсный контракт Si-3.27",
        lot_size=1,
        tick_size=tick_size,
        prev_close=prev_close,
        face_value="1000",
        band_percent=_OPTION_BAND_PERCENT,
        margins=margins,
        cfi_code="OCXXXX",
        cancels_on=terms.expires_on,
        tick_value=tick_size,
        risk_rates=("0.5", "0.5"),
        underlying=terms.underlying,
        strike=str(int(terms.strike)),
        option_side=terms.side,
    )


_CATALOGUE: tuple[Instrument, ...] = (
    _share("SBER", "Сбербанк", "Сбербанк России ПАО ао", 10, "0.01", "301.15", "3"),
    _share("GAZP", "ГАЗПРОМ ао", "Газпром ПАО ао", 10, "0.01", "167.90", "5"),
    _share("LKOH", "ЛУКОЙЛ", "НК ЛУКОЙЛ ПАО ао", 1, "0.5", "7140", "0.025"),
    _future(
        "SiH7", "Si-3.27", "курс доллар США - российский рубль", "1000", "1", "92450", ("14200", "14050"), "1"
    ),
    _currency("CNYRUB_TOM", "CNYRUB_TOM - CNY/РУБ", "0.0005", "12.4500"),
    _state_bond("SU26238RMFS4", "26238", "58.950"),
    _share("ROSN", "Роснефть", "ПАО НК Роснефть", 1, "0.05", "564.70", "0.01"),
    _share("GMKN", "ГМКНорНик", "ГМК Норильский никель ПАО ао", 10, "0.02", "132.40", "0.01"),
    _share("VTBR", "ВТБ ао", "Банк ВТБ ПАО ао", 1, "0.005", "81.250", "50"),
    _share("YDEX", "ЯНДЕКС", "МКПАО ЯНДЕКС ао", 1, "0.5", "4105", "0.25"),
    _share("MTLR", "Мечел ао", "Мечел ПАО ао", 1, "0.01", "277.50", "10"),
    _share("NVTK", "Новатэк ао", "НОВАТЭК ПАО ао", 1, "0.2", "1531.4", "0.1"),
    _future("RIH7", "RTS-3.27", "индекс РТС", "1", "10", "108450", ("23800", "23600"), "18.05"),
    _share("TATN", "Татнфт 3ао", "Татнефть ПАО ао", 1, "0.1", "637.7", "1"),
    _share("AFLT", "Аэрофлот", "Аэрофлот-росс.авиалин(ПАО)ао", 10, "0.01", "57.85", "1"),
    _future("BRH7", "BR-3.27", "нефть Brent", "10", "0.01", "71.35", ("9700", "9650"), "9.03"),
    _share("SBERP", "Сбербанк-п", "Сбербанк России ПАО ап", 10, "0.01", "300.40", "3", "PS"),
    _share("MOEX", "МосБиржа", "ПАО Московская Биржа", 10, "0.01", "198.47", "1"),
    _share("OZON", "ОЗОН", "МКПАО ОЗОН ао", 1, "0.5", "2673", "0.001"),
    _share("PLZL", "Полюс", "Полюс ПАО ао", 1, "0.2", "2048.6", "0.1"),
    _share("VKCO", "МКПАО ВК", "МКПАО ВК ао", 1, "0.1", "573.6", "0.000004"),
    _share("CHMF", "СевСт-ао", "Северсталь (ПАО)ао", 1, "0.2", "1352.0", "0.01"),
    _share("ALRS", "АЛРОСА ао", "АЛРОСА ПАО ао", 10, "0.01", "69.42", "0.5"),
    _share("MGNT", "Магнит ао", "Магнит ПАО ао", 1, "0.5", "5240", "0.01"),
    _future("GDH7", "GOLD-3.27", "золото", "1", "0.1", "2745.3", ("29100", "28900"), "9.03"),
    _future("SRH7", "SBRF-3.27", "обыкновенные акции Сбербанка", "100", "1", "31480", ("6250", "6200"), "1"),
    _share("NLMK", "НЛМК ао", "НЛМК ПАО ао", 10, "0.02", "176.82", "1"),
    _share("SNGS", "Сургнфгз", "Сургутнефтегаз ПАО ао", 100, "0.005", "28.735", "1"),
    _share("TATNP", "Татнфт 3ап", "Татнефть ПАО ап", 1, "0.1", "634.2", "1", "PS"),
    _share("PHOR", "ФосАгро ао", "ФосАгро ПАО ао", 1, "1", "6612", "2.5"),
    _currency("USD000UTSTOM", "USDRUB_TOM - USD/РУБ", "0.0025", "90.2500"),
    _state_bond("SU26243RMFS4", "26243", "74.310"),
    _option("Si92500BC7", "1", "3120", ("3120", "10200")),
)

CATALOGUE_SIZE = len(_CATALOGUE)
