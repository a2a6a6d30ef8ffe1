"""The adapters for AWS. The steps know only the protocols in `orders.ports`."""
