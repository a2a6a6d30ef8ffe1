"""Authentication: only requests that are signed with a secret of this stack are accepted.

MiniStack treats the configured access key, `test`, any account's number and any Authorization header without a key as
the administrator, and does not check their signatures. But the administrator can run code on this machine, as a
function, and every web page that the user has open can send requests to this machine.
"""

from typing import Any

from ministack.core import iam_evaluator

from local.emulator.bridge.patching import replace, require


def install() -> None:
    require(iam_evaluator, "_anonymous", "AuthError")
    replace(iam_evaluator, "_is_root_key", lambda _: spared_the_check)
    replace(iam_evaluator, "enforce", without_key_is_anonymous)
    replace(iam_evaluator, "check_credentials", without_key_is_refused)


def spared_the_check(_access_key: str) -> bool:
    """No key is: each signature is compared with one that is made with its owner's secret."""
    return False


def without_key_is_anonymous(original: Any) -> Any:
    """MiniStack then accepts requests that AWS serves without a signature, such as a sign-in or a call of an API."""

    def enforce(access_key: str, *rest: Any, **more: Any) -> Any:
        if not access_key:
            iam_evaluator._anonymous.set(True)
        return original(access_key, *rest, **more)

    return enforce


def without_key_is_refused(original: Any) -> Any:
    """Refuse requests without a key that no IAM action covers."""

    def check_credentials(access_key: str, service: str | None = None) -> Any:
        if not access_key:
            return iam_evaluator.AuthError("MissingAuthenticationToken", "Missing Authentication Token")
        return original(access_key, service)

    return check_credentials
