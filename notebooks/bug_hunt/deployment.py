"""The code of the running local stack, replaced by the same package with a bug in it, and restored afterwards."""

import io
import json
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from notebooks.bug_hunt.errors import NotOnThisMachine
from operations.loopback import is_loopback
from operations.stack import Stack
from tools import topology
from verification.simulation.bugs import Bug

SUSPECTS = tuple(name for name in topology.functions() if name != "orderFeed")
"""The functions that get the code with the bug. OrderFeed keeps its own: no order needs it."""

_OURS = ("handlers/", "orders/")
_BUGGY_KEY = "bug-hunt.zip"


class DeployedCode:
    """The code of the functions of a local stack.

    The original package stays in the deployment's bucket, under the key that the stack's template names. So `restore`
    needs no state of its own: it also restores a stack on which a process that was killed left a bug.
    """

    def __init__(self, stack: Stack) -> None:
        """Raises NotOnThisMachine."""
        if not (stack.endpoint_url and is_loopback(stack.endpoint_url)):
            raise NotOnThisMachine(
                f"{stack.name} is on AWS, and a bug is deployed to the local stack only: unset STAGE"
            )
        self._lambda, self._s3 = stack.client("lambda"), stack.client("s3")
        self._functions = [stack.function(name) for name in SUSPECTS]
        packages = [each["Properties"]["Code"] for each in _resources(stack) if each["Type"] == "AWS::Lambda::Function"]
        [self._key] = {each["S3Key"] for each in packages}
        [bucket] = {each["S3Bucket"]["Ref"] for each in packages}
        self._bucket = stack.client("cloudformation").describe_stack_resource(
            StackName=stack.name, LogicalResourceId=bucket
        )["StackResourceDetail"]["PhysicalResourceId"]

    def plant(self, bug: Bug) -> None:
        """Deploy the package with a bug to all suspects: one changed function would give the bug away."""
        deployed = self._s3.get_object(Bucket=self._bucket, Key=self._key)["Body"].read()
        self._s3.put_object(Bucket=self._bucket, Key=_BUGGY_KEY, Body=with_bug(deployed, bug))
        try:
            self._deploy(_BUGGY_KEY)
        finally:
            self._s3.delete_object(Bucket=self._bucket, Key=_BUGGY_KEY)

    def restore(self) -> None:
        """Deploy the package that the stack was deployed with."""
        self._deploy(self._key)

    def is_original(self) -> bool:
        """Whether every suspect runs the package that the stack was deployed with."""
        deployed = self._s3.get_object(Bucket=self._bucket, Key=self._key)["Body"].read()
        digest = b64encode(sha256(deployed).digest()).decode()
        running = [self._lambda.get_function_configuration(FunctionName=each) for each in self._functions]
        return all(each["CodeSha256"] == digest for each in running)

    def _deploy(self, key: str) -> None:
        for name in self._functions:
            self._lambda.update_function_code(FunctionName=name, S3Bucket=self._bucket, S3Key=key)
        for name in self._functions:
            self._lambda.get_waiter("function_updated_v2").wait(FunctionName=name)


def with_bug(package: bytes, bug: Bug) -> bytes:
    """The package with the bug's patch applied to its sources. Raises LookupError if the patch does not apply."""
    with zipfile.ZipFile(io.BytesIO(package)) as deployed, TemporaryDirectory(prefix="bug-hunt-") as folder:
        sources = [name for name in deployed.namelist() if name.startswith(_OURS)]
        deployed.extractall(folder, sources)
        bug.plant(Path(folder))
        patched = {name: Path(folder, name).read_bytes() for name in sources}
        changed = {name: text for name, text in patched.items() if text != deployed.read(name)}
        return _replaced(deployed, changed)


def _replaced(deployed: zipfile.ZipFile, changed: Mapping[str, bytes]) -> bytes:
    """The package with these sources replaced. Their bytecode is left out: Python would run it, not the source."""
    stale = tuple(_bytecode(changed))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for entry in deployed.infolist():
            if not (stale and entry.filename.startswith(stale)):
                package.writestr(entry, changed.get(entry.filename, deployed.read(entry)), compresslevel=1)
    return buffer.getvalue()


def _bytecode(sources: Iterable[str]) -> Iterable[str]:
    """The beginnings of the names of these files' bytecode: `orders/__pycache__/model.`."""
    for source in map(PurePosixPath, sources):
        yield f"{source.parent / '__pycache__' / source.stem}."


def _resources(stack: Stack) -> Iterable[Mapping[str, Any]]:
    """The resources of the stack's template."""
    template: Any = stack.client("cloudformation").get_template(StackName=stack.name)["TemplateBody"]
    resources: Mapping[str, Any] = (json.loads(template) if isinstance(template, str) else template)["Resources"]
    return resources.values()
