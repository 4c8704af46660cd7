"""Implementations of the venue ports: where records come from and commands go to."""

from tapewire.venues.embedded import EmbeddedVenue

__all__ = ["EmbeddedVenue"]
