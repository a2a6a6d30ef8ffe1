"""serverless.yml and resources/ against the code: what each says of the other must be true."""
