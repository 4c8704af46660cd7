"""Whom TLS trusts. Certificates and names of hosts are always checked."""

from __future__ import annotations

import ssl

__all__ = ["trusting"]


def trusting(tls: ssl.SSLContext | None, ca_file: str | None) -> ssl.SSLContext | None:
    """Return the context for connections; None: the default one, with the authorities of the system.

    Args:
        tls: A context of the caller's own.
        ca_file: PEM file of authorities to trust beside those of the system.

    Raises:
        ValueError: Both were given, the file cannot be used, or the context would trust everybody.
    """
    if tls is not None and ca_file is not None:
        raise ValueError("pass tls or ca_file, not both")
    if tls is not None and (tls.verify_mode is not ssl.CERT_REQUIRED or not tls.check_hostname):
        raise ValueError("the TLS context does not check certificates and host names: refused; see ca_file")
    if ca_file is None:
        return tls
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"{ca_file}: not a PEM file of certificates") from None
    except OSError as error:
        raise ValueError(f"{ca_file}: {error.strerror}") from error
    return context
