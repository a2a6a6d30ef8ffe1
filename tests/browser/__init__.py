"""The storefront in a real browser, on the deployed stack: what a customer sees and does.

Not part of `npm test`: they need Chromium. `npm run browser` runs them.
"""
