"""The adapters: everything that knows AWS. The steps in `orders.choreography` know only what these can do."""
