"""Proxies: reading their addresses, choosing one, and keeping their passwords."""

from __future__ import annotations

import pytest

from tapewire.adapters.proxies import Proxies, Proxy

SECRET = "s3cr3t"
BROKER = "wss://api.broker.test/ws"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("http://host:8080", Proxy("http", "host", 8080)),
        ("http://host", Proxy("http", "host", 3128)),
        ("socks5://host/", Proxy("socks5", "host", 1080)),
        ("socks5h://host:1", Proxy("socks5", "host", 1)),
        ("http://u:p%40s@[::1]:5", Proxy("http", "::1", 5, "u", "p@s")),
        ("socks5://u@host", Proxy("socks5", "host", 1080, "u", "")),
    ],
)
def test_an_address_is_read(text: str, parsed: Proxy) -> None:
    assert Proxy.parse(text) == parsed
    assert Proxy.parse(parsed.url) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        f"ftp://u:{SECRET}@host:1",
        f"https://u:{SECRET}@host:1",
        f"http://u:{SECRET}@host:port",
        f"http://u:{SECRET}@host:99999",
        f"http://u:{SECRET}@",
        f"http://u:{SECRET}@host/path",
        f"http://u%3A:{SECRET}@host",
        f"http://[u:{SECRET}@host",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Proxy.parse(text)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_its_printed_forms_have_no_credentials() -> None:
    proxy = Proxy.parse(f"http://user:{SECRET}@host:1")
    for text in (str(proxy), repr(proxy), f"{proxy}", str(proxy.__rich_repr__()), repr([proxy])):
        assert SECRET not in text
        assert "host:1" in text


CHOICES: list[tuple[str, dict[str, str], str, str | None]] = [
    ("nothing is set", {}, BROKER, None),
    ("https for wss", {"HTTPS_PROXY": "http://a:1"}, BROKER, "http://a:1"),
    ("https not for ws", {"HTTPS_PROXY": "http://a:1"}, "ws://broker.test/ws", None),
    ("http for ws", {"http_proxy": "http://a:1"}, "ws://broker.test/ws", "http://a:1"),
    ("a header of CGI is not read", {"HTTP_PROXY": "http://a:1"}, "ws://broker.test/ws", None),
    ("small letters win", {"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, BROKER, "http://b:1"),
    ("all", {"ALL_PROXY": "socks5://a:1"}, "http://broker.test", "socks5://a:1"),
    (
        "the own scheme before all",
        {"ALL_PROXY": "socks5://a:1", "https_proxy": "http://b:1"},
        BROKER,
        "http://b:1",
    ),
    ("empty is not set", {"https_proxy": "", "ALL_PROXY": "socks5://a:1"}, BROKER, "socks5://a:1"),
    ("exempt", {"ALL_PROXY": "http://a:1", "NO_PROXY": "x.test, broker.test"}, BROKER, None),
    ("exempt with a dot", {"ALL_PROXY": "http://a:1", "no_proxy": ".broker.test"}, BROKER, None),
    ("exempt with a star", {"ALL_PROXY": "http://a:1", "no_proxy": "*.broker.test"}, BROKER, None),
    ("exempt in capitals", {"ALL_PROXY": "http://a:1", "no_proxy": "API.Broker.test"}, BROKER, None),
    ("exempt is a whole name", {"ALL_PROXY": "http://a:1", "no_proxy": "oker.test"}, BROKER, "http://a:1"),
    ("exempt by port", {"ALL_PROXY": "http://a:1", "no_proxy": "broker.test:7"}, "ws://broker.test:7/", None),
    (
        "not exempt by port",
        {"ALL_PROXY": "http://a:1", "no_proxy": "broker.test:7"},
        "ws://broker.test:8/",
        "http://a:1",
    ),
    ("all exempt", {"ALL_PROXY": "http://a:1", "no_proxy": "*"}, BROKER, None),
    ("this machine", {"ALL_PROXY": "http://a:1"}, "ws://127.0.0.1:8700/ws", None),
    ("this machine by name", {"ALL_PROXY": "http://a:1"}, "http://localhost:8700", None),
    ("this machine in six", {"ALL_PROXY": "http://a:1"}, "http://[::1]:8700", None),
]


@pytest.mark.parametrize(
    ("environment", "url", "chosen"), [case[1:] for case in CHOICES], ids=[case[0] for case in CHOICES]
)
def test_the_environment_chooses(environment: dict[str, str], url: str, chosen: str | None) -> None:
    found = Proxies.chosen(None, environment).of(url)
    assert (found and str(found)) == chosen


def test_one_that_is_named_is_for_every_host_and_direct_is_for_none() -> None:
    environment = {"ALL_PROXY": "http://a:1", "NO_PROXY": "*"}
    named = Proxies.chosen("socks5://b:2", environment)
    assert [str(named.of(url)) for url in (BROKER, "http://127.0.0.1:1")] == ["socks5://b:2"] * 2
    assert Proxies.chosen("direct", {"ALL_PROXY": "http://a:1"}).of(BROKER) is None
