"""Tokens taken apart, changed and signed again: what an attacker makes, and what only the pool's own key could make."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from local.emulator.state import State


def encoded(value: object) -> str:
    """One part of a token: bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class SigningKey(NamedTuple):
    private: RSAPrivateKey
    kid: str

    @classmethod
    def of_pool(cls, state: State, pool_id: str) -> Self:
        """The key that the embedded AWS signs a pool's ID tokens with, from its folder: AWS shows its keys to nobody.

        Only with it can a token be made that is right but for its time, its issuer or its audience.
        """
        file = state.temporary / "cognito-pool-keys" / f"{pool_id}-id.pem"
        private = load_pem_private_key(file.read_bytes(), password=None)
        assert isinstance(private, RSAPrivateKey)
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private, base64.b64encode(hashlib.sha256(der).digest()).decode())

    @classmethod
    def own(cls, kid: str) -> Self:
        """An attacker's, under a key id of somebody else's."""
        return cls(generate_private_key(65537, 2048), kid)

    def signed(self, claims: object, **header: Any) -> str:
        """A token with this key's signature, by RS256 whatever its header says; a header that is `...` is left out."""
        head = {"kid": self.kid, "alg": "RS256", **header}
        body = f"{encoded({name: value for name, value in head.items() if value is not ...})}.{encoded(claims)}"
        return f"{body}.{encoded(self.private.sign(body.encode(), PKCS1v15(), SHA256()))}"

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_der(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        n, e = numbers.n.to_bytes(256, "big"), numbers.e.to_bytes(3, "big")
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": encoded(n), "e": encoded(e)}


def signed_with_secret(secret: bytes, header: Mapping[str, Any], claims: object) -> str:
    """A token by HS256: where the secret is a public key, the oldest trick of all."""
    body = f"{encoded(header)}.{encoded(claims)}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), 'sha256'))}"
