"""The portfolios of the demo user, as they are opened."""

from __future__ import annotations

from tapewire.exchange import AccountTerms
from tapewire.model.user_book import DEMO_NAME, UserBook

__all__ = ["DEMO_ACCOUNTS"]

#: One for each segment: shares and bonds, currency, derivatives. A million roubles each, and nothing held.
DEMO_ACCOUNTS = tuple(
    AccountTerms(name=portfolio.name, cash=portfolio.cash)
    for portfolio in UserBook().added(DEMO_NAME).user(DEMO_NAME).portfolios
)
