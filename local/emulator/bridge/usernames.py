"""A user pool with `CaseSensitive: false` finds a customer by the address in any case; MiniStack's only as stored.

So nobody signs up twice with one address, and signing in, confirming and resetting a password work in any spelling.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import cognito

from local.emulator.bridge.patching import replace, require

Pool = Mapping[str, Any]
"""MiniStack's record of a user pool: its settings, and `_users` by name."""


def install() -> None:
    require(cognito, "_attr_list_to_dict")
    replace(cognito, "_resolve_user", in_any_case)


def in_any_case(original: Any) -> Any:
    def resolve_user(pool: Pool, username: str | None) -> Any:
        found = original(pool, username)
        if found[0] or not username or (pool.get("UsernameConfiguration") or {}).get("CaseSensitive", True):
            return found
        for spelled in _names(pool):
            if spelled.lower() == username.lower():
                return original(pool, spelled)
        return found

    return resolve_user


def _names(pool: Pool) -> Iterator[str]:
    """The names and addresses with which the pool's users may sign in."""
    signs_in = {*(pool.get("UsernameAttributes") or ()), *(pool.get("AliasAttributes") or ())}
    for name, user in list(pool["_users"].items()):
        yield name
        attributes = cognito._attr_list_to_dict(user["Attributes"])
        yield from (attributes[each] for each in signs_in & attributes.keys())
