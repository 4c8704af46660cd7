"""Commands that only HTTP has: cancelling all orders, and order groups. Each request is made once."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from tapewire.client.command_end import CommandEnd, Untold, end_of
from tapewire.client.command_result import AllCanceled
from tapewire.client.errors import ClosedError, ConnectError, NotSentError, TokenRefusedError, TokenServiceError
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.model import GroupPolicy, OrderGroup, OrderScope
from tapewire.protocol.codes import STATUS_WORDS
from tapewire.protocol.errors import UNREADABLE
from tapewire.protocol.formats import write_json
from tapewire.protocol.http_orders import GroupedBody

__all__ = ["HttpCommands"]

_ORDERS = "/commandapi/warptrans/TRADE/v2/client/orders"
_GROUPS = "/commandapi/api/orderGroups"
_STOP = {OrderScope.BOTH: {}, OrderScope.DIRECT: {"stop": "false"}, OrderScope.CONDITIONAL: {"stop": "true"}}


class _Made(msgspec.Struct, rename="camel"):
    group_id: str = ""


class HttpCommands:
    """Sends commands over HTTP. An answer that does not come leaves the outcome untold: nothing is repeated.

    Commands raise ``NotSentError`` when there is no token to send them with.
    """

    def __init__(self, reader: HttpReader) -> None:
        self._reader = reader

    async def cancel_all(self, asked: AllCanceled) -> CommandEnd:
        """Cancel all working orders of a portfolio."""
        query = {"exchange": str(asked.exchange), "portfolio": asked.portfolio} | _STOP[asked.scope]
        return await self._carry_out("DELETE", f"{_ORDERS}/all?{urlencode(query)}", asked.guid)

    async def make_group(self, guid: str, orders: tuple[GroupedBody, ...], policy: GroupPolicy) -> CommandEnd:
        """Bind orders together; the number of ``Taken`` is the id of the group."""
        return await self._carry_out("POST", _GROUPS, guid, _group(orders, policy), is_making=True)

    async def change_group(
        self, guid: str, group_id: str, orders: tuple[GroupedBody, ...], policy: GroupPolicy
    ) -> CommandEnd:
        """Give a group other orders and another policy."""
        return await self._carry_out("PUT", _GROUPS + path_of(group_id), guid, _group(orders, policy))

    async def delete_group(self, guid: str, group_id: str) -> CommandEnd:
        """Cancel the orders of a group, and the group with them."""
        return await self._carry_out("DELETE", _GROUPS + path_of(group_id), guid)

    async def groups(self) -> list[OrderGroup]:
        """Return the groups of the token's login; raises as ``HttpReader.rows`` does."""
        return await self._reader.rows(OrderGroup, _GROUPS)

    async def group(self, group_id: str) -> OrderGroup:
        """Return one group; raises as ``HttpReader.rows`` does."""
        return await self._reader.row(OrderGroup, _GROUPS + path_of(group_id))

    async def _carry_out(
        self, method: str, path: str, guid: str, body: bytes = b"", *, is_making: bool = False
    ) -> CommandEnd:
        try:
            answer = await self._reader.once(method, path, guid, body)
        except (TokenRefusedError, TokenServiceError, ClosedError) as error:
            raise NotSentError.because(error) from error
        except ConnectError as error:
            return Untold(error.reason)
        made = ""
        if is_making and answer.status == 200:
            try:
                made = msgspec.json.decode(answer.body, type=_Made).group_id
            except UNREADABLE:
                made = ""
        text = self._reader.said(answer) or STATUS_WORDS.get(answer.status, "")
        return end_of(guid, answer.status, text, made, needs_number=is_making)


def _group(orders: tuple[GroupedBody, ...], policy: GroupPolicy) -> bytes:
    return write_json({"orders": orders, "executionPolicy": policy})
