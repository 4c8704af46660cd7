"""What the gateway writes of its sessions: who came, why they went, never what they sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tapewire.gateway.bounded_log import LINES_AT_ONCE_MAX, LINES_PER_SECOND, BoundedLog
from tapewire.gateway.limits import Limits
from unit.gateway.world import REFRESH, TRADES, World, run


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, dict[str, Any]]]:
    return [(record.levelno, record.message, record.__dict__["fields"]) for record in caplog.records]


def test_a_session_is_told_from_its_beginning_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tapewire.gateway")

    async def scenario(world: World) -> None:
        peer = await world.connect("/ws?token=secret", host="10.0.0.1")
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(TRADES, "u") == 429
        peer.transport.close(1000)
        await asyncio.sleep(1)

    run(scenario, limits=Limits(subscriptions_per_connection=1))
    who = {"session": 1, "path": "/ws", "peer": "10.0.0.1:40000"}
    known = who | {"login": "P1"}
    told = lines(caplog)
    assert [(level, event) for level, event, _ in told] == [
        (logging.DEBUG, "session opened"),
        (logging.INFO, "session authorised"),
        (logging.INFO, "request refused"),
        (logging.INFO, "session ended"),
    ]
    opened, authorised, refused, ended = (fields for _, _, fields in told)
    assert (opened, authorised, refused) == (who, known, known | {"limit": "subscriptions_per_connection"})
    assert ended == ended | known | {"code": 1000, "reason": "", "messages": 2, "requests": 2}
    assert ended["bytes"] > 0


def test_a_cut_is_a_warning_and_a_stranger_who_leaves_is_not_worth_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tapewire.gateway")

    async def scenario(world: World) -> None:
        (await world.connect()).transport.abort()
        peer = await world.connect()
        await peer.closed()
        await asyncio.sleep(1)

    run(scenario, limits=Limits(authorise_within_s=3))
    [(level, event, fields)] = lines(caplog)
    assert (level, event, fields["reason"]) == (logging.WARNING, "session cut", "no good token within 3 s")


def test_no_token_is_logged_wherever_a_client_puts_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    secrets = [REFRESH]

    async def scenario(world: World) -> None:
        token = world.token()
        secrets.append(token)
        for secret in (token, REFRESH):
            for path in ("/ws", "/cws"):
                peer = await world.connect(f"{path}?token={secret}")
                for number in range(3):
                    peer.send(secret, secret, token="bad")
                    peer.send(TRADES, f"g{number}", code=secret, exchange=secret)
                    peer.send(TRADES, secret, code=secret, exchange="MOEX")
                    peer.send("authorize", secret, token=secret + "x")
                    peer.send_raw('{"token":"' + secret)
                peer.transport.close(1000, secret[:100])
                await asyncio.sleep(1)
            headers = {"Authorization": f"Bearer {secret}x", "Cookie": secret}
            url = f"http://gateway/md/v2/Securities/MOEX/{secret}?token={secret}"
            await world.http.request("GET", url, headers=headers, timeout_s=10)
            await world.http.request("DELETE", f"http://gateway/admin/sessions/{secret}", timeout_s=10)

    run(scenario, limits=Limits(misuse_points=10, requests_per_second=8))
    assert len(caplog.records) > 20
    text = "\n".join(caplog.handler.format(record) + repr(vars(record)) for record in caplog.records)
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2], secret[:20])}
    assert not [part for part in parts if part in text]


def test_a_log_takes_so_many_lines_of_a_level_and_then_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.test")
    now = 100.0
    log = BoundedLog(logging.getLogger("tapewire.test"), lambda: now)
    for _ in range(LINES_AT_ONCE_MAX + 7):
        log.write(logging.INFO, "refused", limit="x")
        log.write(logging.DEBUG, "not asked for")
    log.write(logging.WARNING, "cut")
    assert [record.message for record in caplog.records] == ["refused"] * LINES_AT_ONCE_MAX + ["cut"]
    now += 1.5 / LINES_PER_SECOND
    log.write(logging.INFO, "refused", limit="x")
    log.write(logging.INFO, "refused", limit="x")
    assert lines(caplog)[-1][2] == {"limit": "x", "left_out": 7}
    assert len(caplog.records) == LINES_AT_ONCE_MAX + 2
