"""Checks of a deployed stage, as a customer and as an operator would use it, and a report of the results.

    npm run smoke -- --stage dev [--report smoke.md] [--outage] [--seconds 600]

It removes the accounts that it made and its own dead letters. The orders and their audit trail stay: nothing deletes an
order. On AWS a forged event triggers alarms, as it should.
"""
