"""The bare limit with tapewire's own records: what remains of the distance is the client, not its richer types."""

from __future__ import annotations

from bench.messages import Kind
from bench.receivers.bare_listener import Decode, receive_with
from bench.receivers.load import Load, Meter, Reading, receive
from tapewire.model import Book, Quote, Trade
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

_DECODERS: dict[Kind, Decode] = {
    "books": codec(Book, Format.SLIM).decode_message,
    "narrow_books": codec(Book, Format.SLIM).decode_message,
    "quotes": codec(Quote, Format.SLIM).decode_message,
    "trades": codec(Trade, Format.SLIM).decode_message,
}


async def _receive(load: Load, meter: Meter) -> Reading:
    return await receive_with(_DECODERS[load.kind], MalformedMessageError, load, meter)


if __name__ == "__main__":
    receive(_receive)
