"""What would go wrong with a deploy, said before it starts.

    npm run preflight -- --stage dev [--region …] [--aws-profile …] [--param senderEmail=you@example.com …]

`npm run deploy` runs it first for every stage but `local`. It only reads. What it says follows AWS's documentation and
was tried on the embedded AWS; nothing here has run on AWS.
"""
