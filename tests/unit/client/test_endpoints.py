"""Addresses of a broker."""

from __future__ import annotations

import pytest

from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints


@pytest.mark.parametrize(
    ("base", "ws", "http"),
    [
        ("http://127.0.0.1:8700", "ws://127.0.0.1:8700/ws", "http://127.0.0.1:8700"),
        ("http://127.0.0.1:8700/", "ws://127.0.0.1:8700/ws", "http://127.0.0.1:8700"),
        ("https://host", "wss://host/ws", "https://host"),
        ("https://host/deep/base/", "wss://host/deep/base/ws", "https://host/deep/base"),
        ("http://[::1]:8700", "ws://[::1]:8700/ws", "http://[::1]:8700"),
    ],
)
def test_a_base_gives_all_addresses(base: str, ws: str, http: str) -> None:
    endpoints = Endpoints.from_base(base)
    assert endpoints == Endpoints(ws, ws.removesuffix("/ws") + "/cws", http, http)


@pytest.mark.parametrize(
    "base",
    [
        "",
        "host:8700",
        "ws://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://user@host",
        "http://user:s3cr3t@host:99999",
        "ftp://user:s3cr3t@host",
        "http://host?token=s3cr3t",
        "host?token=s3cr3t",
        "http://host#s3cr3t",
    ],
)
def test_anything_else_is_refused_without_telling_secrets(base: str) -> None:
    with pytest.raises(ValueError) as caught:
        Endpoints.from_base(base)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "word"),
    [
        ("https://api.alor.ru", "production"),
        ("http://API.alor.ru:443/", "production"),
        ("https://api.alor.ru.", "production"),
        ("https://apidev.alor.ru/deep", "test"),
    ],
)
def test_the_brokers_own_hosts_are_no_base_because_their_tokens_come_from_elsewhere(base: str, word: str) -> None:
    with pytest.raises(ValueError) as caught:
        Endpoints.from_base(base)
    assert f"tapewire.{word.upper()}" in str(caught.value)
    assert f"--contour {word}" in str(caught.value)


def test_the_contours_use_tls_only() -> None:
    for contour in (PRODUCTION, TEST):
        assert contour.ws.startswith("wss://")
        assert contour.cws.startswith("wss://")
        assert contour.http.startswith("https://")
        assert contour.oauth.startswith("https://")
