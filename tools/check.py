"""Checks everything that can be checked without running it: format, lint, types, words and the CloudFormation template.

AsyncAPI's own parser validates docs/asyncapi.yaml. cfn-lint checks whether CloudFormation accepts the template, with
AWS's rules for serverless applications, and checkov whether the template is secure. Neither needs the network. The
exceptions are listed, with their reasons, beside the resources, in serverless.yml and in tools/checkov.yml.

Run by `npm run check`. Prints one line per check, and the output of those that fail.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tools.checkout import ROOT

TEMPLATE = ".serverless/cloudformation-template-update-stack.json"
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2")

PACKAGE = ["sls", "package", "--param", "senderEmail=orders@example.com", "--stage"]
LINT = ["cfn-lint", "--include-checks", "I", "--append-rules", "cfn_lint_serverless.rules"]
LINT += ["--regions", *REGIONS, "--", TEMPLATE]
SCAN = ["checkov", "--config-file", "tools/checkov.yml", "--file", TEMPLATE]

ON_DEMAND = ("storefront=true", "alarmEmail=ops@example.com", "monthlyBudgetUsd=50")

DOCUMENTS = ("README.md", "docs/blog.md", "docs/performance.md", "docs/costs.md", "docs/scale.md")
"""Their tables, and the code that they show, are written by cog."""

CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
    "words": [sys.executable, "-m", "tools.words"],
    "documents": [sys.executable, "-m", "cogapp", "--check", *DOCUMENTS],
    "events' document": ["node", "tools/asyncapi/validate.mjs", "docs/asyncapi.yaml"],
    "package": [*PACKAGE, "dev"],
    "template": LINT,
    "scan": SCAN,
    "package of prod with all on demand": [
        *PACKAGE,
        "prod",
        *(word for each in ON_DEMAND for word in ("--param", each)),
    ],
    "template of prod with all on demand": LINT,
    "scan of prod with all on demand": SCAN,
}


def passes(name: str, command: list[str], environment: dict[str, str]) -> bool:
    started = time.monotonic()
    run = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    passed = run.returncode == 0
    print(f"{'ok    ' if passed else 'FAILED'}  {name:36}  {time.monotonic() - started:4.1f} s", flush=True)
    if not passed:
        print(run.stdout.rstrip(), flush=True)
    return passed


def main() -> None:
    programs = [str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin")]
    environment = {**os.environ, "PATH": os.pathsep.join([*programs, os.environ["PATH"]])}
    results = [passes(name, command, environment) for name, command in CHECKS.items()]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
