"""Money: whole minor units (cents) of an ISO-4217 currency, never a float."""

from typing import Annotated

from pydantic import Field

MinorUnits = Annotated[int, Field(ge=0, lt=2**53)]
"""An amount in cents. Every JSON parser reads whole numbers below 2**53 exactly."""
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""An ISO-4217 code, such as `EUR`."""


def format_money(amount: int, currency: str) -> str:
    """`18.90 EUR` for 1890 minor units of a currency with two decimals, as the catalogue's is."""
    return f"{amount // 100}.{amount % 100:02} {currency}"
