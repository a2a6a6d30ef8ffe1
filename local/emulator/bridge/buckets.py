"""CloudFormation removes no bucket that has files or older versions of them; MiniStack's removes it with its files."""

from typing import Any

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local.emulator.bridge.patching import replace, require

TYPE = "AWS::S3::Bucket"


def install() -> None:
    require(s3, "_buckets", "_bucket_has_versions")
    replace(provisioners, "_RESOURCE_HANDLERS", with_refusal)


def with_refusal(handlers: dict[str, Any]) -> dict[str, Any]:
    remove = handlers[TYPE]["delete"]

    def delete(name: str, properties: dict[str, Any]) -> None:
        """Raises ValueError, which leaves the bucket, and fails the removal of the stack."""
        bucket = s3._buckets.get(name)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
            raise ValueError(f"The bucket you tried to delete is not empty: {name}")
        remove(name, properties)

    handlers[TYPE] = {**handlers[TYPE], "delete": delete}
    return handlers
