"""Replacing: which order a replacement makes, given the order that it replaces."""

from __future__ import annotations

import msgspec

from tapewire.exchange.command import Place, PlaceConditional, Replace
from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.refusal import DERIVATIVES
from tapewire.exchange.register import OrderRow
from tapewire.model import Instrument

__all__ = ["conditional_replacement", "replacement"]


def replacement(replace: Replace, old: OrderRow, instrument: Instrument) -> Place:
    """Return the order that takes the place of ``old``, an order in ``instrument``; nothing is checked yet."""
    is_derivative = instrument.kind in DERIVATIVES
    visible_lots = old.visible_lots if is_derivative else replace.visible_lots
    if is_derivative and visible_lots is not None and visible_lots >= replace.lots:
        visible_lots = None  # it was not asked for, so it is no reason to refuse: all of the order shows
    return Place(
        account=old.account,
        instrument=old.instrument if is_derivative else replace.instrument,
        side=old.side if is_derivative else replace.side,
        lots=replace.lots,
        price_ticks=replace.price_ticks,
        time_in_force=old.time_in_force if replace.time_in_force is None else replace.time_in_force,
        allow_margin=replace.allow_margin,
        visible_lots=visible_lots,
        visible_variance_percent=0 if visible_lots is None else old.visible_variance_percent,
        expires_at_ns=replace.expires_at_ns,
        comment=replace.comment,
    )


def conditional_replacement(
    by: PlaceConditional, old: ConditionalOrder, instrument: Instrument
) -> PlaceConditional:
    """Return the conditional order that takes the place of ``old``; nothing is checked yet."""
    if instrument.kind not in DERIVATIVES:
        return by
    order = msgspec.structs.replace(by.order, instrument=old.order.instrument, side=old.order.side)
    return msgspec.structs.replace(by, order=order)
