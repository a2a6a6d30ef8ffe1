"""MiniStack, with what it lacks of AWS and this system needs. Run as a process of its own: `python -m local.bridge`.

    asynchronous    EventBridge → Lambda and `Event` invocations: retries, throttling, the on-failure destination
    deletion        what waits for a deleted function, or ran in it, goes with it
    archive         AWS::Events::Archive in CloudFormation
    deployments     AWS::ApiGatewayV2::Deployment in CloudFormation
    replays         a replay has a right name and does not end before it starts
    buckets         CloudFormation removes no bucket that has files
    credentials     only a signature with a secret that was given out lets anybody in
    conditions      the keys by which IAM judges PutEvents and SendEmail
    entries         PutEvents takes no event without a source, a detail type or a detail
    tokens          what AWS's JWT authorizer asks of a token and MiniStack's does not
    usernames       a case-insensitive user pool knows a customer by the address in any case
    addresses       SES sends to addresses in ASCII only
    functions       a function finds its package and nothing of the emulator's own environment; unpacked once
    execute_api     a function finds an API of API Gateway where the emulator has it
    sockets         a WebSocket's routes invoke their function as everything else does
    keeping         a request to keep the state fails if a part of it was not kept
    logs            what a function logs belongs to the invocation that logged it, and none waits for more

docs/emulator.md lists these and the differences that stay; tests/local pins each. A name of MiniStack's that is gone
stops the start with one line: better than an emulator that is quietly kinder than AWS.
"""
