"""What an operator does by hand: look at the dead letters, send them on again, replay the archive.

The same for stage `local` and for AWS:

    npm run operate -- dead-letters --stage dev
    npm run operate -- redrive --stage dev
    npm run operate -- replay --stage dev --from 2026-01-31T09:00:00Z --to 2026-01-31T10:00:00Z
"""
