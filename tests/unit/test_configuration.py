"""Where to, as whom and how: what comes before what, and that a profile's secrets stay with its place."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from proxy_servers import Authority
from tapewire.adapters.running_systems import RunningSystem, announced
from tapewire.client.endpoints import PRODUCTION, TEST
from tapewire.client.errors import ConfigurationError
from tapewire.client.profile import Profile
from tapewire.configuration import Configuration, find_configuration
from tapewire.profiles import add_profile, list_profiles, remove_profile, use_profile

LOCAL_URL = "http://127.0.0.1:8701"


class Memory(KeyringBackend):
    """A keyring in memory."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("it is locked")
        return self.tokens.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.is_locked:
            raise KeyringLocked("it is locked")
        self.tokens[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.tokens:
            raise PasswordDeleteError
        del self.tokens[service, username]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("URL", "REFRESH_TOKEN", "PROFILE", "PROXY", "CA_FILE"):
        monkeypatch.delenv(f"TAPEWIRE_{name}", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def memory() -> Iterator[Memory]:
    before = keyring.get_keyring()
    backend = Memory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def local() -> Iterator[None]:
    with announced(RunningSystem(1, LOCAL_URL, "of this machine")):
        yield


def said(found: Configuration) -> tuple[str, str]:
    return found.endpoints.http, found.refresh_token.reveal()


DESK = "http://desk.test"
ARGUMENT, VARIABLE = "http://argument.test", "http://variable.test"
PLACES: list[tuple[str, dict[str, Any], dict[str, str], str | None, tuple[str, str]]] = [
    ("this machine", {}, {}, None, (LOCAL_URL, "of this machine")),
    ("the one in use before this machine", {}, {}, "desk", (DESK, "of desk")),
    ("one of the environment before that in use", {}, {"PROFILE": "test"}, "desk", (TEST.http, "of test")),
    ("an address of the environment too", {}, {"URL": VARIABLE, "REFRESH_TOKEN": "v"}, "desk", (VARIABLE, "v")),
    (
        "a profile before the environment",
        {"profile": "desk"},
        {"URL": VARIABLE, "REFRESH_TOKEN": "v"},
        None,
        (DESK, "of desk"),
    ),
    ("and before one of it", {"profile": "desk"}, {"PROFILE": "test"}, None, (DESK, "of desk")),
    (
        "an address before all",
        {"url": ARGUMENT, "refresh_token": "a"},
        {"PROFILE": "test"},
        "desk",
        (ARGUMENT, "a"),
    ),
    (
        "endpoints too",
        {"endpoints": PRODUCTION, "refresh_token": "a"},
        {"URL": VARIABLE},
        "desk",
        (PRODUCTION.http, "a"),
    ),
    ("a token before the profile's", {"profile": "desk", "refresh_token": "a"}, {}, None, (DESK, "a")),
    (
        "the profile's before the environment's",
        {"profile": "desk"},
        {"REFRESH_TOKEN": "v"},
        None,
        (DESK, "of desk"),
    ),
    ("one without is completed", {"profile": "production"}, {"REFRESH_TOKEN": "v"}, None, (PRODUCTION.http, "v")),
    ("local is this machine", {"profile": "local"}, {}, "desk", (LOCAL_URL, "of this machine")),
    ("an address of this machine", {"url": LOCAL_URL}, {}, "desk", (LOCAL_URL, "of this machine")),
]


@pytest.mark.parametrize(
    ("arguments", "environment", "in_use", "expected"),
    [case[1:] for case in PLACES],
    ids=[case[0] for case in PLACES],
)
def test_the_first_that_says_it(
    local: None,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    environment: dict[str, str],
    in_use: str | None,
    expected: tuple[str, str],
) -> None:
    add_profile("desk", Profile(url=DESK, refresh_token="of desk"))
    add_profile("test", Profile("test", refresh_token="of test"))
    use_profile(in_use)
    for name, value in environment.items():
        monkeypatch.setenv(f"TAPEWIRE_{name}", value)
    assert said(find_configuration(**arguments)) == expected


def test_nothing_of_a_profile_goes_to_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    add_profile("desk", Profile(url=DESK, refresh_token="of desk", proxy="http://proxy:1", ca_file="/none"))
    use_profile("desk")
    with pytest.raises(ConfigurationError, match="no refresh token"):
        find_configuration(ARGUMENT)
    found = find_configuration(ARGUMENT, refresh_token="a")
    assert (found.proxies.of(ARGUMENT), found.tls) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        ({"url": "http://a", "endpoints": TEST}, {}, "url or endpoints"),
        ({"url": "http://a", "profile": "test"}, {}, "profile or an address"),
        ({"endpoints": TEST, "profile": "test"}, {}, "profile or an address"),
        ({}, {"URL": "http://a", "PROFILE": "test"}, "TAPEWIRE_URL and TAPEWIRE_PROFILE"),
        ({"profile": "nobody"}, {}, "no profile 'nobody' in .*: local, production, test"),
        ({}, {"PROFILE": "nobody"}, "no profile 'nobody'"),
        ({"profile": "production"}, {}, "no refresh token for https://api.alor.ru"),
        ({"profile": "local"}, {}, "no broker"),
        ({"url": "http://a", "refresh_token": "t", "proxy": "ftp://u:s3cr3t@h"}, {}, "proxy is not like"),
        ({"url": "http://a", "refresh_token": "t"}, {"PROXY": "ftp://u:s3cr3t@h"}, "proxy is not like"),
        ({"url": "http://a", "refresh_token": "t", "ca_file": "/none"}, {}, "/none: No such file"),
        ({"url": "http://a", "refresh_token": "t"}, {"CA_FILE": "/none"}, "/none: No such file"),
        ({"url": "http://a", "tls": ssl.create_default_context(), "ca_file": "/none"}, {}, "tls or ca_file"),
    ],
)
def test_what_is_not_clear_is_said(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], environment: dict[str, str], text: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"TAPEWIRE_{name}", value)
    with pytest.raises(ConfigurationError, match=text) as caught:
        find_configuration(**arguments)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "profile", "variable", "general", "chosen"),
    [
        ("http://a:1", "http://p:1", "http://v:1", "http://g:1", "http://a:1"),
        (None, "http://p:1", "http://v:1", "http://g:1", "http://p:1"),
        (None, None, "http://v:1", "http://g:1", "http://v:1"),
        (None, None, None, "http://g:1", "http://g:1"),
        ("direct", "http://p:1", "http://v:1", "http://g:1", None),
        (None, "direct", "http://v:1", "http://g:1", None),
        (None, None, "direct", "http://g:1", None),
    ],
)
def test_proxies(
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    profile: str | None,
    variable: str | None,
    general: str,
    chosen: str | None,
) -> None:
    add_profile("desk", Profile(url=DESK, refresh_token="t", proxy=profile))
    monkeypatch.setenv("TAPEWIRE_PROXY", variable or "")
    monkeypatch.setenv("ALL_PROXY", general)
    found = find_configuration(profile="desk", proxy=argument).proxies.of(DESK)
    assert (found and str(found)) == chosen


def test_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = str(Authority(tmp_path).ca_file)
    add_profile("desk", Profile(url=DESK, refresh_token="t", ca_file=authority))
    own = ssl.create_default_context()
    monkeypatch.setenv("TAPEWIRE_CA_FILE", "/none")
    assert find_configuration(profile="desk", tls=own).tls is own
    assert find_configuration(profile="desk").tls is not None
    assert find_configuration(ARGUMENT, refresh_token="t", ca_file=authority).tls is not None


def test_a_token_in_the_keyring(memory: Memory) -> None:
    add_profile("desk", Profile(url=DESK, keyring=True), keyring_token="in the ring")
    assert said(find_configuration(profile="desk")) == (DESK, "in the ring")
    assert list_profiles().profiles["desk"].refresh_token is None
    memory.is_locked = True
    with pytest.raises(ConfigurationError, match="the keyring cannot be used: it is locked"):
        find_configuration(profile="desk")
    memory.is_locked = False
    # Replaced by one without, and removed: nothing is left behind.
    add_profile("desk", Profile(url=DESK))
    assert memory.tokens == {}
    add_profile("desk", Profile(url=DESK, keyring=True), keyring_token="again")
    remove_profile("desk")
    assert memory.tokens == {}


def test_a_keyring_that_has_forgotten_is_said(memory: Memory) -> None:
    add_profile("desk", Profile(url=DESK, keyring=True), keyring_token="x")
    memory.tokens.clear()
    with pytest.raises(ConfigurationError, match="no refresh token for the profile desk"):
        find_configuration(profile="desk")


def test_without_the_extra_the_keyring_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, memory: Memory
) -> None:
    add_profile("desk", Profile(url=DESK, keyring=True), keyring_token="x")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tapewire\[keyring\]'"):
        find_configuration(profile="desk")


def test_the_configuration_shows_no_secret() -> None:
    found = find_configuration(ARGUMENT, refresh_token="s3cr3t", proxy="http://u:s3cr3t@host")
    assert "s3cr3t" not in repr(found)


def test_the_one_in_use_ends_with_its_profile() -> None:
    add_profile("desk", Profile(url=DESK))
    use_profile("desk")
    remove_profile("desk")
    assert list_profiles().default is None
    with pytest.raises(ValueError, match="no profile 'desk'"):
        use_profile("desk")
    with pytest.raises(ValueError, match="the file has none"):
        remove_profile("production")


@pytest.mark.parametrize("name", ["url", "refresh_token", "profile"])
@pytest.mark.parametrize("value", ["", "  "])
def test_an_argument_that_is_empty_is_not_one_that_is_missing(local: None, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is empty"):
        find_configuration(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["URL", "REFRESH_TOKEN", "PROFILE"])
def test_a_variable_that_is_empty_is_not_set(local: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"TAPEWIRE_{name}", "")
    assert said(find_configuration()) == (LOCAL_URL, "of this machine")


def test_only_a_token_of_this_machine_is_looked_up_again(local: None) -> None:
    assert find_configuration(refresh_token="a").local is None
    found = find_configuration("http://localhost:8701").local
    assert found is not None
    assert found.refresh_token() == "of this machine"
    assert found.remark() == ""


def test_what_became_of_the_system_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with announced(RunningSystem(1, LOCAL_URL, "of this machine")):
        found = find_configuration().local
    assert found is not None
    assert found.refresh_token() is None
    assert "no system runs on this machine any more" in found.remark()
    with announced(RunningSystem(2, "http://127.0.0.1:8702", "another")):
        assert found.refresh_token() is None, "its token is of another place"
        assert found.remark() == found.remark()
        assert "is at http://127.0.0.1:8702 now: connect anew" in found.remark()
    assert len(caplog.messages) == 2
