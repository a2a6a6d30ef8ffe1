"""Functions run on the emulator's own interpreter, and must not find the packages that are installed for it.

What a package misses would otherwise be found here, and be missed on AWS only.
"""

from typing import Any

from ministack.core import lambda_runtime

from local.bridge.patching import replace

_FORGET_INSTALLED = """\
import sys
sys.path[:] = [folder for folder in sys.path if not folder.rstrip("/").endswith(("site-packages", "dist-packages"))]
"""


def install() -> None:
    replace(lambda_runtime, "_detect_runtime_binary", without_installed_packages)


def without_installed_packages(original: Any) -> Any:
    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return binary, _FORGET_INSTALLED + script if runtime.startswith("python") else script

    return detect_runtime_binary
