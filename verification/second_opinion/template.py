"""The template of every variant, by cfn-lint, with the rules and regions of `npm run check`."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.checkout import ROOT
from verification.second_opinion.compiled import Template
from verification.second_opinion.engines import FOLDER
from verification.second_opinion.opinion import Opinion

REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2")


def ask(templates: Mapping[str, Template]) -> Opinion:
    folder = FOLDER / "templates"
    folder.mkdir(exist_ok=True)
    files = {folder / f"{variant.replace(', ', '-')}.json": template for variant, template in templates.items()}
    for file, template in files.items():
        file.write_text(json.dumps(template))
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--format", "parseable"]
    command += ["--append-rules", "cfn_lint_serverless.rules", "--regions", *REGIONS, "--", *map(str, files)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    objections = [line.removeprefix(f"{folder}/") for line in (ran.stdout + ran.stderr).splitlines()]
    if ran.returncode != 0 and not objections:
        objections = [f"cfn-lint ended with {ran.returncode}"]
    return Opinion("template", f"{len(files)} variants in {len(REGIONS)} regions by cfn-lint", objections)
