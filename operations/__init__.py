"""What an operator does by hand, on stage `local` and on AWS alike: look after dead letters, and replay events.

    npm run dlq -- list|redrive|purge [--stage dev]
    npm run replay -- --from 2026-01-31T09:00Z [--to …] [--stage dev]
    npm run replay -- --order ID [--stage dev]

Both may be repeated and interrupted at will: no second charge, no second e-mail, nothing lost.
"""
