"""Word lists that exist on the wire only."""

from __future__ import annotations

from tapewire.model import Word

__all__ = ["Format", "ListedExchange", "MarketName", "Sector", "SliceMode"]


class Format(Word):
    """The three spellings of a record: old and full names, short keys for speed, full and growing."""

    SIMPLE = "Simple"
    SLIM = "Slim"
    HEAVY = "Heavy"


class SliceMode(Word):
    """How bars are cut at the end of a day. Sent by the broker's SDK only."""

    DAILY_INTERVALS = "DailyIntervals"
    EQUAL_INTERVALS = "EqualIntervals"


class ListedExchange(Word):
    """Exchanges that instruments are listed on."""

    MOEX = "MOEX"
    SPBX = "SPBX"


class Sector(Word):
    """Markets of the Moscow Exchange."""

    FORTS = "FORTS"
    FOND = "FOND"
    CURR = "CURR"


class MarketName(Word):
    """Markets of all exchanges."""

    FORTS = "FORTS"
    FOND = "FOND"
    CURR = "CURR"
    SPBX = "SPBX"
