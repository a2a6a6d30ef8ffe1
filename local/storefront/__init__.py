"""The storefront on this machine: what S3 and CloudFront do for it on AWS, and the panel that breaks things.

One origin serves the page, the API below `/api` and the sign-in at `/cognito`, so that the page needs no CORS.
"""
