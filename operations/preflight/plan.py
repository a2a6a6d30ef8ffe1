"""The stack that a deploy would create, as the Serverless Framework itself reads serverless.yml.

`sls print` resolves stage, region and parameters exactly as `sls deploy` does, and the plugin refuses invalid ones: the
rules are in one place, tools/stage.js and tools/parameters.js.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any, NamedTuple

from operations.errors import OperatorError
from operations.stack import stack_name
from tools.checkout import ROOT

_SLS = ROOT / "node_modules" / ".bin" / "sls"


class Plan(NamedTuple):
    """A stage as it would be deployed."""

    stage: str
    parameters: Sequence[str]
    """As they were typed, each `name=value`."""
    region: str | None
    """Where one was typed."""
    profile: str | None
    functions: Mapping[str, Any]
    resources: Mapping[str, Any]
    """Logical id → resource, of resources/, without those that osls adds for the functions."""
    sender: str
    reconcile_concurrency: int = 1
    """Threads in a run of the reconciler."""

    @property
    def stack_name(self) -> str:
        return stack_name(self.stage)

    def of_type(self, kind: str) -> Mapping[str, Any]:
        """Logical id → properties."""
        return {name: body.get("Properties", {}) for name, body in self.resources.items() if body["Type"] == kind}

    def deploy(self, *changed: str) -> str:
        """The command that deploys it, with these parameters instead of, or in addition to, those that were typed."""
        names = {parameter.partition("=")[0] for parameter in changed}
        kept = [parameter for parameter in self.parameters if parameter.partition("=")[0] not in names]
        words = [f"npm run deploy -- --stage {self.stage}"]
        words += [f"--region {self.region}"] if self.region else []
        words += [f"--aws-profile {self.profile}"] if self.profile else []
        return " ".join([*words, *(f"--param {quote(parameter)}" for parameter in (*kept, *changed))])

    @property
    def notification_concurrency(self) -> int:
        """How many invocations of Notification there may be at once."""
        queues = [event["sqs"] for event in self.functions["notification"]["events"] if "sqs" in event]
        return sum(int(queue.get("maximumConcurrency", 0)) for queue in queues)

    def kinds(self) -> Counter[str]:
        """How many resources of each kind it has, without those that come with another, such as policies."""
        own = Counter(body["Type"] for body in self.resources.values())
        events = [next(iter(event)) for each in self.functions.values() for event in each.get("events", [])]
        own.update({"AWS::Lambda::Function": len(self.functions), "AWS::Logs::LogGroup": len(self.functions)})
        own.update({"AWS::Events::Rule": events.count("eventBridge")})
        return own


def read_plan(stage: str, region: str | None, profile: str | None, parameters: Sequence[str]) -> Plan:
    """Read the plan. Raises OperatorError with the one line that a deploy would print."""
    command = [str(_SLS), "print", "--format", "json", "--stage", stage]
    command += ["--region", region] if region else []
    command += [f"--param={parameter}" for parameter in parameters]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    if ran.returncode != 0:
        raise OperatorError(_reason(ran.stderr or ran.stdout))
    service = json.loads(ran.stdout)
    functions, resources = service["functions"], service["resources"]["Resources"]
    environment = service["provider"]["environment"]
    sender, threads = str(environment["SENDER_EMAIL"] or ""), int(environment["RECONCILE_CONCURRENCY"])
    return Plan(stage, parameters, region, profile, functions, resources, sender, threads)


def _reason(said: str) -> str:
    """The plugin refuses with one line; osls's own errors follow the word `Error:`."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "Error:" in lines[:-1]:
        return lines[lines.index("Error:") + 1]
    return lines[0] if lines else "sls print failed and did not say why"
