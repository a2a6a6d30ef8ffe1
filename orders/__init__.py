"""The business of order processing: what an order is, and every step of its life.

Start with `choreography`: all steps, top to bottom. They know the protocols in `ports`; `orders.aws` implements those
for AWS. Nothing here imports `handlers`, and nothing but `orders.aws` imports boto3.
"""
