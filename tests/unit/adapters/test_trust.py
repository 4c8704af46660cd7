"""Whom TLS trusts: always somebody, never everybody."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy_servers import Authority
from tapewire.adapters.trust import trusting


def test_nothing_said_is_the_default_and_a_context_that_checks_is_taken() -> None:
    assert trusting(None, None) is None
    own = ssl.create_default_context()
    assert trusting(own, None) is own


def test_an_authority_comes_beside_those_of_the_system(tmp_path: Path) -> None:
    context = trusting(None, str(Authority(tmp_path).ca_file))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    names = [str(each["subject"]) for each in context.get_ca_certs()]
    assert any("an authority" in name for name in names)
    assert len(names) == 1 + len(ssl.create_default_context().get_ca_certs())


@pytest.mark.parametrize("checks_certificates", [True, False])
def test_a_context_that_would_trust_everybody_is_refused(checks_certificates: bool) -> None:
    blind = ssl.create_default_context()
    blind.check_hostname = False
    if not checks_certificates:
        blind.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not check"):
        trusting(blind, None)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(ValueError, match=r"junk\.pem: not a PEM file"):
        trusting(None, str(junk))
    with pytest.raises(ValueError, match=r"none\.pem: No such file"):
        trusting(None, str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="not both"):
        trusting(ssl.create_default_context(), str(junk))
