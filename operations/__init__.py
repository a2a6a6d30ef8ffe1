"""The operator's commands, for stage `local` and for AWS alike: handle dead letters, replay events.

    npm run dlq -- list|redrive|purge [--stage dev] [--region …] [--aws-profile …]
    npm run replay -- --from 2026-01-31T09:00Z [--to …] [--stage dev]
    npm run replay -- --order ID [--stage dev]
    npm run preflight -- [--stage dev] [--param senderEmail=…]     before a deploy: what would go wrong
    npm run smoke -- [--stage dev] [--report FILE]                 after one: a customer's and an operator's story

All may be repeated and interrupted at will: no second charge, no second e-mail, nothing lost. What comes from a queue,
a table, AWS or a user is shown literally; an error is one line on stderr and an exit code, see `command`.
"""
