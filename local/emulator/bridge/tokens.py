"""The checks of API Gateway's JWT authorizer that MiniStack's lacks.

The token is three parts of base64url and nothing else (RFC 7515); its header is a JSON object and says RS256, since AWS
checks the algorithm before the signature and supports RSA only; it expires. MiniStack skips other characters, treats
every algorithm as RS256, accepts a token without an expiry, and responds with 500 to a header that is no object.
MiniStack makes AWS's other checks itself: tests/e2e/test_tokens.py tries them all.
"""

import json
import re
from typing import Any

from ministack.services import apigateway

from local.emulator.bridge.patching import replace, require


def install() -> None:
    require(apigateway, "_extract_token_from_identity_source", "_b64url_decode", "_jwt_unauthorized")
    replace(apigateway, "_validate_jwt_authorizer", strictly)


def strictly(original: Any) -> Any:
    async def validate_jwt_authorizer(route: Any, authorizer: Any, headers: Any, query_params: Any) -> Any:
        token = apigateway._extract_token_from_identity_source(authorizer["identitySource"], headers, query_params)
        if not (token and is_acceptable(token)):
            return None, None, apigateway._jwt_unauthorized()
        return await original(route, authorizer, headers, query_params)

    return validate_jwt_authorizer


def is_acceptable(token: str) -> bool:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}", token):
        return False
    try:
        header, claims = (json.loads(apigateway._b64url_decode(part)) for part in token.split(".")[:2])
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(header, dict)
        and header.get("alg") == "RS256"
        and isinstance(claims, dict)
        and all(isinstance(claims.get(name, 0), int | float) for name in ("nbf", "iat"))
        and isinstance(claims.get("exp"), int | float)
    )
