"""All routes of the gateway but those of the token service and of the operator."""

from __future__ import annotations

from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.gateway.http.trading import TRADING_ENDPOINTS

__all__ = ["ENDPOINTS"]

ENDPOINTS = (*MARKET_ENDPOINTS, *TRADING_ENDPOINTS)
