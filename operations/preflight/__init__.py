"""Checks that find what would go wrong with a deploy, before it starts.

    npm run preflight -- --stage dev [--region …] [--aws-profile …] [--param senderEmail=you@example.com …]

`npm run deploy` runs it first for every stage but `local`. It only reads. Its findings follow AWS's documentation and
were tested on the embedded AWS; nothing here has run on AWS.
"""
