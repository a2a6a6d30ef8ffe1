"""All checks, one after the other. One that can't be made is a warning, and the others still run."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from operations.preflight import account, bill, rights, sender, there
from operations.preflight.finding import Finding, blocked, warning
from operations.preflight.plan import Plan, read_plan
from operations.screen import console, filled
from operations.stack import Stack
from operations.streams import print_error

Check = Callable[[Stack, Plan], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    "the region": account.region,
    "your rights": rights.rights,
    "the stack": there.state,
    "the bucket": there.bucket,
    "names that are taken": there.names_taken,
    "an earlier stack's resources": there.retained,
    "the sender": sender.identity,
    "SES's sandbox": sender.sandbox,
    "Lambda's concurrency": account.concurrency,
    "quotas": account.quotas,
    "the resources": bill.bill,
}

_MARKS = {"passed": "[green]✓[/]", "warning": "[yellow]![/]", "blocked": "[red]✗[/]"}


def preflight(stack: Stack, arguments: argparse.Namespace) -> int:
    """Print each finding; 1 if one blocks a deploy, else 0."""
    screen, blocking = console(soft_wrap=True), 0
    plan = read_plan(stack.stage, arguments.region, arguments.aws_profile, arguments.param)
    for finding in findings(stack, plan):
        blocking += finding.kind == "blocked"
        fix = ": {fix}" if finding.fix else ""
        screen.print(filled(_MARKS[finding.kind] + " {text}" + fix, text=finding.text, fix=finding.fix))
    if blocking:
        print_error(f"{blocking} {'problem stops' if blocking == 1 else 'problems stop'} a deploy of {plan.stack_name}")
    return 1 if blocking else 0


def findings(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """The findings of all checks. Without valid credentials there are no others."""
    if endpoint := _misleading_endpoint(stack):
        yield blocked(f"{endpoint} is set, and stage {stack.stage} goes to AWS", f"unset {endpoint}")
        return
    who = list(account.credentials(stack, plan))
    yield from who
    if any(finding.kind == "blocked" for finding in who):
        return
    for what, check in CHECKS.items():
        try:
            yield from check(stack, plan)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            yield warning(f"{what} could not be checked: {error}")


def _misleading_endpoint(stack: Stack) -> str | None:
    """A variable that would lead a deploy to an emulator; tools/plugin.js refuses it as well."""
    if stack.endpoint_url:
        return None
    return next((name for name in sorted(os.environ) if name.startswith("AWS_ENDPOINT_URL") and os.environ[name]), None)
