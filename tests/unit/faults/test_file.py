"""Files of faults, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapewire.faults import FaultKind, FaultRule, Faults, FaultsError, Trigger, read_faults, read_faults_file
from tapewire.faults.file import FILE_BYTES_MAX, RULES_MAX

CUT = '[[fault]]\nkind = "cut"\n'


def test_a_file_is_a_seed_and_faults_in_their_order() -> None:
    faults = read_faults(
        """
        seed = 7
        [[fault]]
        kind = "delay"
        on = "message"
        by = "1.5s"
        jitter = "250ms"
        for = "2h"
        after = "0s"
        probability = 1
        [[fault]]
        kind = "cut"
        name = "the cut"
        every = "5m"
        times = 3
        """
    )
    assert faults == Faults(
        (
            FaultRule(
                kind=FaultKind.DELAY,
                on=Trigger.MESSAGE,
                by_s=1.5,
                jitter_s=0.25,
                for_s=7_200,
                after_s=0,
                probability=1,
            ),
            FaultRule(kind=FaultKind.CUT, name="the cut", every_s=300, times=3),
        ),
        7,
    )
    assert faults.names == ["delay-1", "the cut"]


def test_a_text_without_faults_has_none_and_a_file_without_them_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    for text in ("", "\n# later\n", "seed = 7", "fault = []"):
        assert read_faults(text).rules == ()
        file.write_text(text)
        with pytest.raises(FaultsError) as refused:
            read_faults_file(file)
        assert str(refused.value) == f"{file}: no [[fault]] in it"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[fault]", "no TOML: Expected ']]' at the end of an array declaration (at line 1, column 8)"),
        ("sede = 1", "unknown key 'sede', did you mean 'seed'?"),
        ("xyz = 1", "unknown key 'xyz'"),
        ("seed = 1.5", "seed is a whole number"),
        ("seed = true", "seed is a whole number"),
        ('[fault]\nkind = "cut"', "faults are tables: [[fault]]"),
        ("fault = [1]", "faults are tables: [[fault]]"),
        ("[[fault]]", f"fault 1: kind is missing: one of {', '.join(FaultKind)}"),
        ('[[fault]]\nkind = "cutt"', f"fault 1: kind is one of {', '.join(FaultKind)}"),
        (CUT + 'on = "never"', f"fault 1: on is one of {', '.join(Trigger)}"),
        (CUT + 'since = ["start"]', "fault 1: since is one of connection, start"),
        (CUT + "after_s = 1", "fault 1: unknown key 'after_s', did you mean 'after'?"),
        (CUT + CUT + "every = 60", 'fault 2: every is a time with its unit, such as "500ms", "30s", "5m" or "2h"'),
        (CUT + 'every = "-1s"', 'fault 1: every is a time with its unit, such as "500ms", "30s", "5m" or "2h"'),
        (CUT + 'every = "999999999d"', "fault 1: every is at most 366 days"),
        (CUT + 'times = "3"', "fault 1: times is a whole number"),
        (CUT + "times = 3.5", "fault 1: times is a whole number"),
        (CUT + "probability = true", "fault 1: probability is a number"),
        (CUT + "path = 1", "fault 1: path is a text"),
        (CUT + "at = 19:00:00", "fault 1: at is a text"),
        (CUT + "times = 0", "fault 1: times is 1 or more"),
        (CUT + CUT + 'name = "cut-1"', "fault 2: the name 'cut-1' is that of fault 1"),
        (CUT * (RULES_MAX + 1), f"at most {RULES_MAX} faults"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(text: str, line: str) -> None:
    with pytest.raises(FaultsError) as refused:
        read_faults(text)
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xff", "no UTF-8 text"),
        (b"#" * (FILE_BYTES_MAX + 1), f"more than {FILE_BYTES_MAX} bytes"),
        (b"a = 1", "unknown key 'a'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, data: bytes, line: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_bytes(data)
    with pytest.raises(FaultsError) as refused:
        read_faults_file(file)
    assert str(refused.value) == f"{file}: {line}"


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=f"^{tmp_path}: Is a directory$"):
        read_faults_file(tmp_path)


@pytest.mark.parametrize("text", [f"seed = {'9' * 5_000}\n{CUT}", f'{CUT}after = "١s"\n'])
def test_numbers_that_are_none_are_one_line(text: str) -> None:
    with pytest.raises(FaultsError) as refused:
        read_faults(text)
    assert "\n" not in str(refused.value)
