"""The shop's products and payment methods. Prices come from here: a request that names a price is rejected."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Product(BaseModel):
    """One product; `unit_price` is in minor units (cents)."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    sku: str
    name: str
    unit_price: int
    currency: str


CURRENCY = "EUR"  # ISO 4217; the whole shop has one currency, so that an order has one total

PaymentMethod = Literal["tok_visa", "tok_mastercard", "tok_declined", "tok_insufficient_funds"]
"""The payment tokens that `POST /orders` accepts: the simulated provider's (`aws/gateway.py`).

Only a request is limited to them. A stored order and its events accept any text.
"""

PRODUCTS = {
    product.sku: product
    for product in (
        Product(sku="COFFEE-1KG", name="Coffee beans, 1 kg", unit_price=1890, currency=CURRENCY),
        Product(sku="GRINDER", name="Hand grinder", unit_price=7900, currency=CURRENCY),
        Product(sku="KETTLE", name="Gooseneck kettle", unit_price=4950, currency=CURRENCY),
        Product(sku="FILTERS-100", name="Paper filters, 100 pieces", unit_price=650, currency=CURRENCY),
        Product(sku="MUG", name="Stoneware mug", unit_price=1400, currency=CURRENCY),
    )
}
