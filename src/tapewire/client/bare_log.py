"""What the client logs in a program without logging: Python prints warnings bare, so they say who speaks."""

from __future__ import annotations

import logging
import time

__all__ = ["SaysWhoSpeaks"]


class SaysWhoSpeaks(logging.Filter):
    """Puts time, name and level before a message for which no handler is there.

    ``logging.lastResort`` prints nothing but the text. Programs with handlers get records as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete a record that only the last resort will print. All pass."""
        if not logging.getLogger(record.name).hasHandlers():
            at = time.strftime("%H:%M:%S", time.localtime(record.created))
            record.msg = f"{at} tapewire {record.levelname}: {record.getMessage()}"
            record.args = ()
        return True
