"""The life of the embedded market: its catalogue and the seeded participants who trade it.

The participants know the market as everybody else does: through commands and what is publicly shown.
"""

from tapewire.market.bonds import BOND_TERMS, BondTerms
from tapewire.market.catalogue import CATALOGUE_SIZE, catalogue
from tapewire.market.fair_price import FairPrice
from tapewire.market.floor import Floor
from tapewire.market.maker import MAKER_ORDERS_MAX, Maker
from tapewire.market.market import EVENTS_PER_SECOND_MAX, PARTICIPANT_MARK, Market
from tapewire.market.taker import Taker

__all__ = [
    "BOND_TERMS",
    "CATALOGUE_SIZE",
    "EVENTS_PER_SECOND_MAX",
    "MAKER_ORDERS_MAX",
    "PARTICIPANT_MARK",
    "BondTerms",
    "FairPrice",
    "Floor",
    "Maker",
    "Market",
    "Taker",
    "catalogue",
]
