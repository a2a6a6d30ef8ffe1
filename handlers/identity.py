"""Who is calling. The gateway has checked the token's signature, issuer, audience and expiry; this is the rest."""

from collections.abc import Mapping
from typing import Any

from handlers.http import Problem
from orders.aws.address import deliverable
from orders.errors import UndeliverableAddress
from orders.model import Customer


def customer_id(request: Mapping[str, Any]) -> str:
    """The caller's id. Raises Problem 403 for an access token: the gateway can't tell it from an ID token."""
    return str(_claims(request)["sub"])


def customer(request: Mapping[str, Any]) -> Customer:
    """The caller with an e-mail address that is proven to be theirs, and that SES can send to.

    Raises Problem: 403 for any other address, or we'd be a mail relay; 422 where no message could ever arrive.
    """
    claims = _claims(request)
    # The gateway hands claims over as strings.
    if not claims.get("email") or str(claims.get("email_verified")).lower() != "true":
        raise Problem(403, "email-not-verified", "verify your e-mail address, then sign in again and repeat the order")
    email = str(claims["email"])
    try:
        deliverable(email)
    except UndeliverableAddress as error:
        detail = f"we can't write to your e-mail address: {error}; use another one, then sign in again"
        raise Problem(422, "undeliverable-email", detail) from None
    return Customer(customer_id=str(claims["sub"]), email=email)


def _claims(request: Mapping[str, Any]) -> Mapping[str, Any]:
    claims: Mapping[str, Any] = request["requestContext"]["authorizer"]["jwt"]["claims"]
    if claims.get("token_use") != "id":
        raise Problem(403, "not-an-id-token", "send the ID token, not the access token")
    return claims
