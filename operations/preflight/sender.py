"""The sender's address, and what SES allows it to send."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from operations.preflight.finding import Finding, blocked, passed, warning
from operations.preflight.plan import Plan
from operations.preflight.there import resources_of
from operations.stack import Stack


def identity(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """Whether SES knows the sender, and whether the stack would create an identity that exists already."""
    if not plan.sender:
        yield blocked("no sender address is set", plan.deploy("senderEmail=you@example.com"))
        return
    sesv2, domain = stack.client("sesv2"), plan.sender.partition("@")[2]
    found, of_domain = _identity(sesv2, plan.sender), _identity(sesv2, domain)
    is_ours = resources_of(stack, plan).get("AWS::SES::EmailIdentity", []) == [plan.sender]
    is_made = bool(plan.of_type("AWS::SES::EmailIdentity"))
    if found and is_made and not is_ours:
        yield blocked(
            f"SES has the identity {plan.sender} already, and the stack would create it again",
            plan.deploy("verifySender=false"),
        )
    elif is_ours and not is_made and not _stays(stack, plan):
        yield blocked(
            f"{plan.sender} is this stack's own identity, and verifySender=false would delete it",
            plan.deploy("verifySender=true"),
        )
    elif not (found or of_domain or is_made):
        yield blocked(
            f"SES has no identity for {plan.sender}, and verifySender=false creates none",
            plan.deploy("verifySender=true"),
        )
    elif not found and is_made:
        yield passed(f"SES will mail a link to {plan.sender}: open it to verify the sender")
    yield from _state(plan, found or of_domain, plan.sender if found else domain)


def _stays(stack: Stack, plan: Plan) -> bool:
    """Whether the deployed stack keeps its identity when the template no longer has it."""
    template = stack.client("cloudformation").get_template(StackName=plan.stack_name)["TemplateBody"]
    # boto3 gives a JSON template as a mapping, and a YAML one, which osls does not write, as text.
    resources = template["Resources"].values() if isinstance(template, Mapping) else []
    policies = {each.get("DeletionPolicy", "Delete") for each in resources if each["Type"] == "AWS::SES::EmailIdentity"}
    return bool(policies) and "Delete" not in policies


def _state(plan: Plan, found: Mapping[str, Any] | None, name: str) -> Iterator[Finding]:
    if not found:
        return
    if not found.get("VerifiedForSendingStatus"):
        yield warning(
            f"the identity {name} is not verified: no e-mail is sent", "open the link in the mail that SES sent"
        )
    elif configuration := found.get("ConfigurationSetName"):
        # Then IAM checks SendEmail on the configuration set as well.
        if "configuration-set" in json.dumps(plan.of_type("AWS::IAM::Role")):
            yield passed(f"the identity {name} is verified, with the default configuration set {configuration}")
        else:
            yield blocked(
                f"{name} has the default configuration set {configuration}, for which Notification's role has no right",
                f"aws sesv2 put-email-identity-configuration-set-attributes --email-identity {name}",
            )
    else:
        yield passed(f"the identity {name} is verified")


def _identity(sesv2: Any, name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = sesv2.get_email_identity(EmailIdentity=name)
        return found
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return None
        raise


def sandbox(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """A new account is in SES's sandbox, region by region."""
    account = stack.client("sesv2").get_account()
    quota = account["SendQuota"]
    limits = f"{quota['Max24HourSend']:.0f} mails a day, {quota['MaxSendRate']:.0f} a second"
    if not account["SendingEnabled"]:
        yield warning(
            "SES has paused this account's sending", "see why: https://console.aws.amazon.com/ses/home#/account"
        )
    elif not account["ProductionAccessEnabled"]:
        yield warning(
            f"SES is in its sandbox here: it sends to verified addresses only, {limits}",
            "aws sesv2 create-email-identity --email-identity YOUR-OWN-ADDRESS; or request production access",
        )
    else:
        yield passed(f"SES sends to everybody: {limits}")
