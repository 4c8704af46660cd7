"""Messages of the data socket as bytes: answers to requests and data of subscriptions.

Exact leading and trailing bytes matter to clients in the field: answers begin with ``{"requestGuid":"``, data
messages begin with ``{"data":`` and end with the guid. Source: reference of subscriptions, 3.2 and 3.3.
"""

from __future__ import annotations

import msgspec

from tapewire.model import UNSET, Maybe
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.formats import write_json

__all__ = ["DATA_PREFIX", "SystemMessage", "data_tail", "guid_of_data", "read_system"]

DATA_PREFIX = b'{"data":'
_SYSTEM_PREFIX = b'{"requestGuid":'
# The comma tells the key from the end of a longer one: ``"a\\"guid":"x"``.
_GUID_KEY = b',"guid":"'


class SystemMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a request. ``order_number`` is there when a command made or cancelled an order."""

    request_guid: str
    http_code: int
    message: str = ""
    order_number: Maybe[str] = UNSET

    @property
    def ok(self) -> bool:
        """Whether the request was accepted."""
        return self.http_code == ResultCode.OK

    def encode(self) -> bytes:
        """Write the message, ``requestGuid`` first."""
        return write_json(self)


class _ReadSystem(msgspec.Struct, rename="camel"):
    """An answer as it may come: null where there is nothing to say, the number as text or integer."""

    request_guid: str | None
    http_code: int
    message: str | None = None
    order_number: str | int | None = None


_read_system = msgspec.json.Decoder(_ReadSystem, strict=False).decode
_read_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_text = msgspec.json.Decoder(str).decode


def read_system(message: bytes) -> SystemMessage | None:
    """Read an answer, whatever the order of its keys; None if the message is something else.

    Raises:
        MalformedMessageError: The message is no JSON, or an answer that cannot be read.
    """
    if message.startswith(DATA_PREFIX):
        return None
    try:
        if not message.startswith(_SYSTEM_PREFIX) and "requestGuid" not in _read_keys(message):
            return None
        read = _read_system(message)
    except UNREADABLE as error:
        raise MalformedMessageError(str(error)) from error
    number = UNSET if read.order_number is None else str(read.order_number)
    return SystemMessage(read.request_guid or "", read.http_code, read.message or "", number)


def data_tail(guid: str) -> bytes:
    """Return what stands behind the shared bytes of a record in the messages of one subscription."""
    return b',"guid":' + write_json(guid) + b"}"


def guid_of_data(message: bytes) -> str | None:
    """Return the guid of a data message; None if the message carries no data.

    The guid is looked for at the end, where the broker puts it; otherwise the message is parsed.

    Raises:
        MalformedMessageError: The message is no JSON object.
    """
    if message.startswith(DATA_PREFIX) and message.endswith(b'"}'):
        start = message.rfind(_GUID_KEY)
        guid = message[start + len(_GUID_KEY) : -2]
        # A quote or a backslash inside: not the last key of the message, or an escaped guid.
        if start > 0 and b'"' not in guid and b"\\" not in guid:
            try:
                return guid.decode()
            except UnicodeDecodeError as error:
                raise MalformedMessageError("the guid is no UTF-8 text") from error
    try:
        fields = _read_keys(message)
        found = bytes(fields.get("guid", b""))
        return _read_text(found) if "data" in fields and found.startswith(b'"') else None
    except UNREADABLE as error:
        raise MalformedMessageError(str(error)) from error
