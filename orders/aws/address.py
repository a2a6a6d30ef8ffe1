"""E-mail addresses in the form that SES accepts: ASCII, with the domain in Punycode."""

import re

from orders.errors import UndeliverableAddress

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}$){_ATOM}(\.{_ATOM})*")
"""RFC 5322's dot-atom of RFC 5321's length: no quotes, no comments, and no second address."""
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


def deliverable(address: str) -> str:
    """The address in the form that SES accepts: `user@xn--bcher-kva.example` for `user@bücher.example`.

    SES sends to 7-bit ASCII only. A domain can be written in ASCII, as Punycode; the part before the @ can't. Raises
    UndeliverableAddress, whose text does not quote the address.
    """
    local_part, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local_part):
        raise UndeliverableAddress(
            "the part before the @ may have at most 64 characters: A to Z, digits, single dots and !#$%&'*+/=?^_`{|}~-"
        )
    ascii_domain = domain if domain.isascii() else _punycode(domain)
    if not _DOMAIN.fullmatch(ascii_domain):
        raise UndeliverableAddress("the part after the @ is not a domain name")
    return f"{local_part}@{ascii_domain}"


def _punycode(domain: str) -> str:
    """The domain in Punycode by IDNA 2008; empty when it has no such form.

    Python's own codec follows IDNA 2003, which turns `straße` into `strasse`: today that is somebody else's domain.
    """
    import idna  # few orders need it: its tables must not slow down every cold start

    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return ""
