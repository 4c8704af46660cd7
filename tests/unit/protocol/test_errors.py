"""The tree of errors."""

from __future__ import annotations

import pickle

from tapewire.protocol.errors import BadRequestError, MalformedMessageError, ProtocolError


def test_both_errors_have_one_root() -> None:
    assert issubclass(BadRequestError, ProtocolError)
    assert issubclass(MalformedMessageError, ProtocolError)


def test_a_refusal_carries_what_the_answer_needs() -> None:
    refusal = BadRequestError("g", 400, "Invalid or unsupported depth")
    assert (refusal.guid, refusal.code, refusal.text) == ("g", 400, "Invalid or unsupported depth")
    assert str(refusal) == "400 Invalid or unsupported depth"


def test_errors_survive_pickling() -> None:
    refusal = pickle.loads(pickle.dumps(BadRequestError("g", 400, "x")))
    assert (refusal.guid, refusal.code, refusal.text) == ("g", 400, "x")
    assert pickle.loads(pickle.dumps(MalformedMessageError("why"))).reason == "why"
