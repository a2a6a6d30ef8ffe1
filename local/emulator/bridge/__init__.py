"""MiniStack, with the parts of AWS that it lacks and this system needs. It runs as `python -m local.emulator.bridge`.

    asynchronous    EventBridge → Lambda and `Event` invocations: retries, throttling, the on-failure destination
    deletion        the waiting events and the late logs of a deleted function are dropped
    archive         AWS::Events::Archive in CloudFormation
    deployments     AWS::ApiGatewayV2::Deployment in CloudFormation
    replays         a replay has a valid name and does not end before it starts
    buckets         CloudFormation removes no bucket that has files
    credentials     only a signature with a secret that was given out lets anybody in
    conditions      the condition keys with which IAM evaluates PutEvents and SendEmail
    entries         PutEvents accepts no event without a source, a detail type or a detail
    tokens          the checks of AWS's JWT authorizer that MiniStack's lacks
    usernames       a case-insensitive user pool finds a customer by the address in any case
    addresses       SES sends to addresses in ASCII only
    functions       a function sees its package, unpacked once, and nothing of the emulator's own environment
    execute_api     a function reaches an API of API Gateway at the emulator's URL
    sockets         a WebSocket's routes invoke their function like every other trigger
    keeping         saving the state fails if a part of it could not be written
    logs            each log line belongs to the invocation that logged it, and no invocation waits for more lines

docs/emulator.md lists these and the remaining differences; tests/local pins each. A missing name in MiniStack stops the
start with one line: better than an emulator that is silently kinder than AWS.
"""
