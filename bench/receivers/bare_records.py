"""The bare limit with tapewire's own records: what remains of the distance is the client, not its richer types."""

from __future__ import annotations

from bench.receivers.bare_listener import Decode, receive_with
from bench.receivers.load import Load, Meter, Reading, receive
from tapewire.model import Book, Trade
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format


async def _receive(load: Load, meter: Meter) -> Reading:
    books, trades = codec(Book, Format.SLIM), codec(Trade, Format.SLIM)
    decode: Decode = books.decode_message if load.kind == "books" else trades.decode_message
    return await receive_with(decode, MalformedMessageError, load, meter)


if __name__ == "__main__":
    receive(_receive)
