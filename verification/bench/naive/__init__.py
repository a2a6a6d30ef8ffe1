"""The same two functions in the style of widespread examples, for comparison with our figures.

Written for this bench in the style of Powertools' own examples (aws-powertools/powertools-lambda-python, `examples/`:
event_handler_rest with `enable_validation`, idempotency with DynamoDBPersistenceLayer, and the logger, tracer and
metrics decorators on the handler) and of the AWS Lambda Handler Cookbook (ran-isenberg/aws-lambda-handler-cookbook),
which stacks them: boto3 resources, one idempotency table, one decorator for each concern.
"""
