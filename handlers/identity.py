"""Who is calling. The gateway has checked the token's signature, issuer, audience and expiry; this is the rest."""

from collections.abc import Mapping

from handlers.http import Problem, Request
from orders.aws.address import deliverable
from orders.errors import UndeliverableAddress
from orders.model import Customer


def customer_id(request: Request) -> str:
    """The caller's id. Raises Problem 403 for an access token: the gateway can't tell it from an ID token."""
    return _claims(request)["sub"]


def customer(request: Request) -> Customer:
    """The caller with a verified e-mail address that SES can send to.

    Raises Problem: 403 for an access token, or an address that isn't verified, which would make us a mail relay;
    422 for an address that SES can't send to.
    """
    claims = _claims(request)
    email = claims.get("email")
    if not email or claims.get("email_verified", "").lower() != "true":
        raise Problem("email-not-verified", "verify your e-mail address, then sign in again and place the order again")
    try:
        deliverable(email)
    except UndeliverableAddress as error:
        detail = f"we can't send e-mails to your address: {error}; use another address, then sign in again"
        raise Problem("undeliverable-email", detail) from None
    return Customer(customer_id=claims["sub"], email=email)


def _claims(request: Request) -> Mapping[str, str]:
    claims = request["requestContext"]["authorizer"]["jwt"]["claims"]
    if claims.get("token_use") != "id":
        raise Problem("not-an-id-token", "send the ID token, not the access token")
    return claims
