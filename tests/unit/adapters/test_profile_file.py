"""The file of profiles: what is written is read, others are kept out, and nothing of it is shown."""

from __future__ import annotations

import stat
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.adapters.profile_file import ProfileFile, ProfileFileError, _toml
from tapewire.client.profile import Profile, ProfileBook

SECRET = "s3cr3t"


def private(folder: Path, text: str | bytes) -> ProfileFile[ProfileBook]:
    path = folder / "profiles.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return ProfileFile(path, ProfileBook)


def test_where_it_is(tmp_path: Path) -> None:
    home = {"HOME": "/home/anna"}
    assert str(ProfileFile.of_user(home, ProfileBook).path) == "/home/anna/.config/tapewire/profiles.toml"
    assert (
        str(ProfileFile.of_user(home | {"XDG_CONFIG_HOME": "/etc/x"}, ProfileBook).path)
        == "/etc/x/tapewire/profiles.toml"
    )
    assert str(ProfileFile.of_user(home | {"XDG_CONFIG_HOME": "x"}, ProfileBook).path).startswith("/home/anna/")


def test_what_is_written_is_read_and_is_for_its_user_alone(tmp_path: Path) -> None:
    file = ProfileFile(tmp_path / "new" / "tapewire" / "profiles.toml", ProfileBook)
    assert file.read() == ProfileBook()
    book = ProfileBook(
        "desk", {"desk": Profile(url="http://10.0.0.5:8700", refresh_token=SECRET), "test": Profile("test")}
    )
    for _ in range(2):
        file.write(book)
        assert file.read() == book
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.path.parent.iterdir()] == ["profiles.toml"]


@given(token=st.text(st.characters(exclude_categories=["Cs"])), keyring=st.booleans())
def test_any_text_survives_toml(token: str, keyring: bool) -> None:
    import tomllib

    book = ProfileBook(profiles={"a": Profile(contour="test", proxy=token, keyring=keyring)})
    read = tomllib.loads(_toml(msgspec.to_builtins(book)))["profiles"]["a"]
    assert (read["proxy"], read.get("keyring", False)) == (token, keyring)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o700])
def test_one_that_others_could_read_or_change_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path, f'[profiles.a]\ncontour = "test"\nrefresh_token = "{SECRET}"\n')
    assert file.read().profiles["a"].refresh_token == SECRET
    file.path.chmod(mode)
    with pytest.raises(ProfileFileError, match=r"refused; chmod 600 .*profiles\.toml$") as caught:
        file.read()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'token = "{SECRET}\n', r"not TOML \(at .*line 1"),
        (b"\xff", "not TOML"),
        (f'defalt = "{SECRET}"', "unknown field `defalt`"),
        (f'default = "{SECRET}"', "the default is no profile"),
        (f'[profiles.a]\nrefresh_token = "{SECRET}"', "either a contour or a url"),
        (f'[profiles.a]\ncontour = "test"\nurl = "http://{SECRET}"', "either a contour or a url"),
        (f'[profiles.a]\ncontour = "test"\nrefresh_tokn = "{SECRET}"', "unknown field `refresh_tokn`"),
        (f'[profiles.a]\ncontour = "test"\nkeyring = "{SECRET}"', "Expected `bool`"),
        (f'[profiles.a]\ncontour = "test"\nkeyring = true\nrefresh_token = "{SECRET}"', "not in both"),
        (f'[profiles.a]\nurl = "http://u:{SECRET}@host"', "no user"),
        ('[profiles."a b"]\ncontour = "test"', "no name"),
        ("a" * (1024 * 1024 + 1), "larger than"),
    ],
)
def test_what_is_no_file_of_profiles_is_one_line_without_values(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(ProfileFileError, match=said) as caught:
        private(tmp_path, text).read()
    assert "\n" not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").mkdir()
    with pytest.raises(ProfileFileError, match="cannot read"):
        ProfileFile(tmp_path / "profiles.toml", ProfileBook).read()
    with pytest.raises(ProfileFileError, match="cannot write"):
        ProfileFile(tmp_path / "profiles.toml", ProfileBook).write(ProfileBook())
    with pytest.raises(ProfileFileError, match="cannot write"):
        ProfileFile(Path("/dev/null/x/profiles.toml"), ProfileBook).write(ProfileBook())


def test_the_printed_forms_of_a_profile_have_no_secrets() -> None:
    profile = Profile("test", refresh_token=SECRET, proxy=f"http://u:{SECRET}@host")
    for text in (
        repr(profile),
        str(profile),
        repr(ProfileBook(None, {"a": profile})),
        str(profile.__rich_repr__()),
    ):
        assert SECRET not in text
