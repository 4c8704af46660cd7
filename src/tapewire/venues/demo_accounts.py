"""The portfolios of the demo user, as they are opened."""

from __future__ import annotations

from decimal import Decimal

from tapewire.exchange import AccountTerms

__all__ = ["DEMO_ACCOUNTS"]

#: One for each segment: shares and bonds, currency, derivatives. A million roubles each, and nothing held.
DEMO_ACCOUNTS = tuple(AccountTerms(name=name, cash=Decimal(1_000_000)) for name in ("D70001", "G70001", "7500T01"))
