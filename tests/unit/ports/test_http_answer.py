"""Answers of HTTP as people see them."""

from __future__ import annotations

from rich.pretty import pretty_repr

from tapewire.ports.network import HttpAnswer


def test_an_answer_shows_its_size_and_not_its_body() -> None:
    answer = HttpAnswer(200, b"s3cr3t")
    assert repr(answer) == "HttpAnswer(status=200, 6 bytes)"
    assert "s3cr3t" not in pretty_repr(answer)
