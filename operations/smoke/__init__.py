"""A story against a deployed stage, as a customer and an operator live it, and a report of what was seen.

    npm run smoke -- --stage dev [--report smoke.md] [--outage] [--seconds 600]

It removes the accounts that it made and its own dead letters. The orders and their audit trail stay: nothing deletes an
order. On AWS a forged event makes alarms ring, as it should.
"""
