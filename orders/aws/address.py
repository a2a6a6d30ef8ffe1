"""E-mail addresses as SES takes them: in ASCII, with the domain in Punycode."""

import re

from orders.errors import UndeliverableAddress

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}$){_ATOM}(\.{_ATOM})*")
"""RFC 5322's dot-atom, at the length of RFC 5321: no quotes, no comments, and no room for a second address."""
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


def deliverable(address: str) -> str:
    """The address as SES takes it, `user@xn--bcher-kva.example` for `user@bücher.example`.

    SES sends to 7-bit ASCII only: it has a domain's Punycode for that, and nothing for what stands before the @.
    Raises UndeliverableAddress, whose text does not quote the address.
    """
    local_part, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local_part):
        raise UndeliverableAddress(
            "at most 64 of A to Z, digits, single dots and !#$%&'*+/=?^_`{|}~- are allowed before its @"
        )
    ascii_domain = domain if domain.isascii() else _punycode(domain)
    if not _DOMAIN.fullmatch(ascii_domain):
        raise UndeliverableAddress("what follows its @ is not the name of a domain")
    return f"{local_part}@{ascii_domain}"


def _punycode(domain: str) -> str:
    """The domain by IDNA 2008; empty where it has no such form.

    Python's own codec is IDNA 2003, which makes `strasse` of `straße`: today that is somebody else's domain.
    """
    import idna  # which few orders need: no cold start loads its tables

    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return ""
