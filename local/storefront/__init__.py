"""The storefront on this machine: in place of S3 and CloudFront on AWS, and with the panel that breaks things.

One origin serves the page, the API below `/api` and the sign-in at `/cognito`, so that the page needs no CORS.
"""
