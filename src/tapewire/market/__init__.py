"""The life of the embedded market: its catalogue and the seeded participants who trade it.

The participants know the market as everybody else does: through commands and what is publicly shown.
"""

from tapewire.market.activity import MEASURED, WINDOW_S, Pace, Percentiles, WindowFigures, pace_of
from tapewire.market.bonds import BOND_TERMS, BondTerms
from tapewire.market.catalogue import CATALOGUE_SIZE, catalogue
from tapewire.market.fair_price import FairPrice
from tapewire.market.floor import Floor
from tapewire.market.maker import MAKER_ORDERS_MAX, Maker
from tapewire.market.market import EVENTS_PER_SECOND_MAX, PARTICIPANT_MARK, Market
from tapewire.market.options import OPTION_TERMS, OptionFigures, OptionTerms
from tapewire.market.past import HOUR_S, MINUTE_S, Past
from tapewire.market.phase import Phase
from tapewire.market.split import PastTrade, split, trades_of
from tapewire.market.state import MarketState
from tapewire.market.taker import Taker
from tapewire.market.tick_bar import TickBar, fold
from tapewire.market.trading_hours import AROUND_THE_CLOCK, SessionName, TradingHours

__all__ = [
    "AROUND_THE_CLOCK",
    "BOND_TERMS",
    "CATALOGUE_SIZE",
    "EVENTS_PER_SECOND_MAX",
    "HOUR_S",
    "MAKER_ORDERS_MAX",
    "MEASURED",
    "MINUTE_S",
    "OPTION_TERMS",
    "PARTICIPANT_MARK",
    "WINDOW_S",
    "BondTerms",
    "FairPrice",
    "Floor",
    "Maker",
    "Market",
    "MarketState",
    "OptionFigures",
    "OptionTerms",
    "Pace",
    "Past",
    "PastTrade",
    "Percentiles",
    "Phase",
    "SessionName",
    "Taker",
    "TickBar",
    "TradingHours",
    "WindowFigures",
    "catalogue",
    "fold",
    "pace_of",
    "split",
    "trades_of",
]
