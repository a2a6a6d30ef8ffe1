"""Tokens that are not what they say: none opens a door, and each case names who keeps it shut.

`GATEWAY` is API Gateway's JWT authorizer: signature (RSA only), key id, issuer, audience, expiry and the other times.
Our code never sees such a request. Locally MiniStack does that, as strict as AWS by `local/emulator/bridge/tokens.py`.
`HANDLER` is `handlers/identity.py`: an ID token, and for an order a verified address.

The claims of most forgeries are Anna's own, so that the one thing wrong is the thing named. A forgery that needs the
pool's own signature is made with the pool's own key, which the embedded AWS keeps in its folder.
"""

import base64
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from local.emulator.state import State
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, an_order
from tests.forgery import SigningKey, decoded, encoded, signed_with_secret
from tools.checkout import ROOT

Guard = Literal["gateway", "handler"]
GATEWAY: Guard = "gateway"
HANDLER: Guard = "handler"
HOUR = 3600
PASSWORD = "Secret-password-1"


class Desk(NamedTuple):
    """All that a forger could wish for."""

    token: str
    """Anna's good ID token."""
    access: str
    refresh: str
    another: str
    """Bela's good ID token."""
    other_client: str
    """Anna's real ID token from another client of the same pool."""
    other_pool: str
    """A real ID token from another pool, whose user has Anna's address."""
    issuer_of_other_pool: str
    key: SigningKey
    """The pool's own, which no forger has."""
    mine: SigningKey
    """A forger's own, under the pool's key id."""
    order_id: str
    """Anna's."""

    @property
    def head(self) -> Any:
        return decoded(self.token.split(".")[0])

    @property
    def claims(self) -> Any:
        return decoded(self.token.split(".")[1])

    @property
    def signature(self) -> str:
        return self.token.split(".")[2]

    def with_head(self, **changes: Any) -> str:
        """The token with another header, under the signature of the old one."""
        return f"{encoded({**self.head, **changes})}.{encoded(self.claims)}.{self.signature}"

    def with_claims(self, **changes: Any) -> str:
        """The token with other claims, under the signature of the old ones."""
        return f"{encoded(self.head)}.{encoded({**self.claims, **changes})}.{self.signature}"

    def issued(self, **changes: Any) -> str:
        """A token with other claims as only the pool itself could sign it; `...` takes one away."""
        claims = {**self.claims, **changes}
        return self.key.signed({name: value for name, value in claims.items() if value is not ...})


def _sign_in(cloud: Cloud, pool: str, client: str, email: str) -> str:
    """The ID token of a user of a pool, who is made where there is none."""
    cognito = cloud.client("cognito-idp")
    if not cognito.list_users(UserPoolId=pool, Filter=f'email = "{email}"')["Users"]:
        cognito.sign_up(
            ClientId=client, Username=email, Password=PASSWORD, UserAttributes=[{"Name": "email", "Value": email}]
        )
        cognito.admin_confirm_sign_up(UserPoolId=pool, Username=email)
    answer = cognito.initiate_auth(
        ClientId=client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
    )
    return str(answer["AuthenticationResult"]["IdToken"])


@pytest.fixture(scope="module")
def desk(cloud: Cloud, anna: Shopper, bela: Shopper) -> Iterator[Desk]:
    cognito, pool = cloud.client("cognito-idp"), cloud.stack["UserPoolId"]
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]

    def client_of(pool: str) -> str:
        made = cognito.create_user_pool_client(UserPoolId=pool, ClientName="another", ExplicitAuthFlows=flows)
        return str(made["UserPoolClient"]["ClientId"])

    other_pool = cognito.create_user_pool(PoolName="another", UsernameAttributes=["email"])["UserPool"]["Id"]
    other_client = client_of(pool)
    [folder] = (ROOT / ".local").glob(f"*/tmp/cognito-pool-keys/{pool}-id.pem")
    key = SigningKey.of_pool(State(folder.parent.parent.parent), pool)
    yield Desk(
        token=anna.tokens["IdToken"],
        access=anna.tokens["AccessToken"],
        refresh=anna.tokens["RefreshToken"],
        another=bela.tokens["IdToken"],
        other_client=_sign_in(cloud, pool, other_client, anna.email),
        other_pool=_sign_in(cloud, other_pool, client_of(other_pool), anna.email),
        issuer_of_other_pool=f"https://cognito-idp.{cloud.stack['region']}.amazonaws.com/{other_pool}",
        key=key,
        mine=SigningKey.own(key.kid),
        order_id=str(anna.place().json()["orderId"]),
    )
    cognito.delete_user_pool(UserPoolId=other_pool)
    cognito.delete_user_pool_client(UserPoolId=pool, ClientId=other_client)


Attack = Callable[[Desk], str | bytes]
"""The token, for an Authorization header with the scheme Bearer."""


def now() -> int:
    return int(time.time())


ATTACKS: dict[str, tuple[Guard, Attack]] = {
    # no signature
    "alg none, no signature": (GATEWAY, lambda d: f"{encoded({**d.head, 'alg': 'none'})}.{encoded(d.claims)}."),
    "alg None, no signature": (GATEWAY, lambda d: f"{encoded({**d.head, 'alg': 'None'})}.{encoded(d.claims)}."),
    "alg NONE, no signature": (GATEWAY, lambda d: f"{encoded({**d.head, 'alg': 'NONE'})}.{encoded(d.claims)}."),
    "alg nOnE, a signature": (GATEWAY, lambda d: d.with_head(alg="nOnE")),
    "alg none, no key id": (GATEWAY, lambda d: f"{encoded({'alg': 'none'})}.{encoded(d.claims)}."),
    "alg none, two parts": (GATEWAY, lambda d: f"{encoded({'alg': 'none'})}.{encoded(d.claims)}"),
    "alg null": (GATEWAY, lambda d: d.with_head(alg=None)),
    "alg empty": (GATEWAY, lambda d: d.with_head(alg="")),
    "alg a list": (GATEWAY, lambda d: d.with_head(alg=["RS256", "none"])),
    "no alg": (GATEWAY, lambda d: f"{encoded({'kid': d.key.kid})}.{encoded(d.claims)}.{d.signature}"),
    "alg none, by the pool's own key": (GATEWAY, lambda d: d.key.signed(d.claims, alg="none")),
    "signature stripped": (GATEWAY, lambda d: d.token.rpartition(".")[0] + "."),
    "signature and its dot stripped": (GATEWAY, lambda d: d.token.rpartition(".")[0]),
    # another algorithm
    "HS256 with the public key as PEM": (
        GATEWAY,
        lambda d: signed_with_secret(d.key.public_pem, {**d.head, "alg": "HS256"}, d.claims),
    ),
    "HS256 with the public key as DER": (
        GATEWAY,
        lambda d: signed_with_secret(d.key.public_der, {**d.head, "alg": "HS256"}, d.claims),
    ),
    "HS256 with the public key's modulus": (
        GATEWAY,
        lambda d: signed_with_secret(d.key.jwk["n"].encode(), {**d.head, "alg": "HS256"}, d.claims),
    ),
    "HS256 with no secret": (GATEWAY, lambda d: signed_with_secret(b"", {**d.head, "alg": "HS256"}, d.claims)),
    "HS256 that says RS256": (GATEWAY, lambda d: signed_with_secret(d.key.public_pem, d.head, d.claims)),
    "ES256": (GATEWAY, lambda d: d.with_head(alg="ES256")),
    "ES256 with r and s zero": (
        GATEWAY,
        lambda d: f"{encoded({**d.head, 'alg': 'ES256'})}.{encoded(d.claims)}.{encoded(bytes(64))}",
    ),
    # another key
    "a forger's key under the pool's key id": (GATEWAY, lambda d: d.mine.signed(d.claims)),
    "a forger's key in the header (jwk)": (GATEWAY, lambda d: d.mine.signed(d.claims, jwk=d.mine.jwk)),
    "a forger's key at a URL (jku)": (GATEWAY, lambda d: d.mine.signed(d.claims, jku="http://127.0.0.1:9/jwks.json")),
    "a forger's certificate at a URL (x5u)": (GATEWAY, lambda d: d.mine.signed(d.claims, x5u="http://127.0.0.1:9/c")),
    "a forger's certificate in the header (x5c)": (
        GATEWAY,
        lambda d: d.mine.signed(d.claims, x5c=[base64.b64encode(d.mine.public_der).decode()]),
    ),
    "key id unknown": (GATEWAY, lambda d: d.mine.signed(d.claims, kid="nobody's")),
    "key id missing": (GATEWAY, lambda d: d.mine.signed(d.claims, kid=...)),
    "key id missing, by the pool's own key": (GATEWAY, lambda d: d.key.signed(d.claims, kid=...)),
    "key id null": (GATEWAY, lambda d: d.mine.signed(d.claims, kid=None)),
    "key id a path": (GATEWAY, lambda d: d.mine.signed(d.claims, kid="../../../../../../dev/null")),
    "key id a path, HS256 with an empty file": (
        GATEWAY,
        lambda d: signed_with_secret(b"", {"alg": "HS256", "kid": "../../../../../../dev/null"}, d.claims),
    ),
    "key id a query": (GATEWAY, lambda d: d.mine.signed(d.claims, kid="' OR '1'='1")),
    "key id a list": (GATEWAY, lambda d: d.mine.signed(d.claims, kid=[d.key.kid])),
    "critical extension unknown": (GATEWAY, lambda d: d.mine.signed(d.claims, crit=["b64"], b64=False)),
    # another pool, client or issuer
    "a real token of another pool": (GATEWAY, lambda d: d.other_pool),
    "a real token of another client": (GATEWAY, lambda d: d.other_client),
    "issuer another pool": (GATEWAY, lambda d: d.issued(iss=d.issuer_of_other_pool)),
    "issuer a stranger": (GATEWAY, lambda d: d.issued(iss="https://login.example.com")),
    "issuer with a slash more": (GATEWAY, lambda d: d.issued(iss=d.claims["iss"] + "/")),
    "issuer missing": (GATEWAY, lambda d: d.issued(iss=...)),
    "audience a stranger": (GATEWAY, lambda d: d.issued(aud="somebody-else")),
    "audience a list of strangers": (GATEWAY, lambda d: d.issued(aud=["somebody-else", ""])),
    "audience missing": (GATEWAY, lambda d: d.issued(aud=...)),
    "audience a stranger, client_id ours": (GATEWAY, lambda d: d.issued(aud="x", client_id=d.claims["aud"])),
    # another time
    "expired": (GATEWAY, lambda d: d.issued(iat=now() - 2 * HOUR, exp=now() - HOUR)),
    "expired a second ago": (GATEWAY, lambda d: d.issued(exp=now() - 1)),
    "expiry below zero": (GATEWAY, lambda d: d.issued(exp=-1)),
    "expiry missing": (GATEWAY, lambda d: d.issued(exp=...)),
    "not yet valid (nbf)": (GATEWAY, lambda d: d.issued(nbf=now() + HOUR)),
    "issued in the future (iat)": (GATEWAY, lambda d: d.issued(iat=now() + HOUR)),
    # tampered with
    "sub somebody else's": (GATEWAY, lambda d: d.with_claims(sub=decoded(d.another.split(".")[1])["sub"])),
    "e-mail somebody else's": (GATEWAY, lambda d: d.with_claims(email="ceo@example.com")),
    "e-mail made verified": (GATEWAY, lambda d: d.with_claims(email_verified="true")),
    "expiry moved": (GATEWAY, lambda d: d.with_claims(exp=now() + 10 * HOUR)),
    "header with a field more": (GATEWAY, lambda d: d.with_head(typ="JWT")),
    "signature of another token": (
        GATEWAY,
        lambda d: ".".join([*d.token.split(".")[:2], d.another.split(".")[2]]),
    ),
    "signature with a character changed": (
        GATEWAY,
        lambda d: d.token[:-20] + ("A" if d.token[-20] != "A" else "B") + d.token[-19:],
    ),
    "header of one token, rest of another": (
        GATEWAY,
        lambda d: ".".join([d.access.split(".")[0], *d.token.split(".")[1:]]),
    ),
    # other tokens of Anna's
    "access token": (HANDLER, lambda d: d.access),
    "access token that says id": (
        GATEWAY,
        lambda d: ".".join(
            [
                d.access.split(".")[0],
                encoded({**decoded(d.access.split(".")[1]), "token_use": "id"}),
                d.access.split(".")[2],
            ]
        ),
    ),
    "token of no use": (HANDLER, lambda d: d.issued(token_use=...)),
    "token of another use": (HANDLER, lambda d: d.issued(token_use="ID")),
    "token of no use, a list with id": (HANDLER, lambda d: d.issued(token_use=["id"])),
    # no token at all
    "empty": (GATEWAY, lambda d: ""),
    "words": (GATEWAY, lambda d: "let me in"),
    "three empty parts": (GATEWAY, lambda d: ".."),
    "four parts": (GATEWAY, lambda d: f"{d.token}.{d.signature}"),
    "five parts, as if encrypted": (GATEWAY, lambda d: ".".join(["A" * 20] * 5)),
    "header null": (GATEWAY, lambda d: f"{encoded(None)}.{encoded(d.claims)}.{d.signature}"),
    "header a list": (GATEWAY, lambda d: f"{encoded([d.head])}.{encoded(d.claims)}.{d.signature}"),
    "header nested 20,000 levels deep": (GATEWAY, lambda d: f"{encoded(b'[' * 20_000)}.{encoded(d.claims)}.A"),
    "claims a list": (GATEWAY, lambda d: f"{encoded(d.head)}.{encoded([d.claims])}.{d.signature}"),
    # spelled otherwise
    "a word before": (GATEWAY, lambda d: f"x {d.token}"),
    "two tokens, a space between": (GATEWAY, lambda d: f"{d.token} {d.token}"),
    "two tokens, a comma between": (GATEWAY, lambda d: f"{d.token},{d.token}"),
    "a good and a bad one, a comma between": (GATEWAY, lambda d: f"{d.token}, Bearer x.y.z"),
    "a space inside": (GATEWAY, lambda d: f"{d.token[:-9]} {d.token[-9:]}"),
    "a tab inside": (GATEWAY, lambda d: f"{d.token[:-9]}\t{d.token[-9:]}"),
    "padded": (GATEWAY, lambda d: f"{d.token}=="),
    "with what is no base64url": (GATEWAY, lambda d: f"{d.token}!!!"),
    "in quotes": (GATEWAY, lambda d: f'"{d.token}"'),
    "in percent code": (GATEWAY, lambda d: d.token.replace(".", "%2E")),
    "with a letter that is not ASCII": (GATEWAY, lambda d: d.token.encode() + "é".encode()),
    "with a byte that is not UTF-8": (GATEWAY, lambda d: d.token.encode() + b"\xff"),
    "with a dot that is none": (GATEWAY, lambda d: d.token.replace(".", "\u2024").encode()),
    # too long
    "9 KB": (GATEWAY, lambda d: "A" * 9 * 1024),
    "good, and 9 KB more": (GATEWAY, lambda d: d.token + "A" * 9 * 1024),
    "9 KB of claims by a forger's key": (GATEWAY, lambda d: d.mine.signed({**d.claims, "x": "A" * 9 * 1024})),
}

ROUTES = [
    "POST /orders",
    "GET /orders",
    "GET /orders/{orderId}",
    "GET /orders/{orderId}/events",
    "POST /orders/{orderId}/cancellation",
    "POST /orders/{orderId}/ticket",
]
"""Each route that asks for a token."""


def _ask(http: httpx.Client, route: str, order_id: str, headers: Any) -> httpx.Response:
    method, _, path = route.partition(" ")
    body = an_order() if method == "POST" else None
    return http.request(method, path.format(orderId=order_id), json=body, headers=headers)


def _refused_by(answer: httpx.Response) -> Guard:
    """Who refused it: the gateway says a message, our code a problem. Fails where nobody did."""
    body = answer.json()
    if body == {"message": "Unauthorized"}:
        assert answer.status_code == 401
        return GATEWAY
    assert answer.status_code == 403, answer.text
    assert body["type"] == "urn:order-processing:problem:not-an-id-token"
    return HANDLER


@pytest.fixture(scope="module")
def http(cloud: Cloud) -> httpx.Client:
    return cloud.api(None)


@pytest.mark.parametrize(("guard", "attack"), ATTACKS.values(), ids=[f"{ATTACKS[name][0]}: {name}" for name in ATTACKS])
def test_a_forged_token_opens_no_route(http: httpx.Client, desk: Desk, guard: Guard, attack: Attack) -> None:
    token = attack(desk)
    header = b"Bearer " + token if isinstance(token, bytes) else f"Bearer {token}".rstrip()
    for route in ROUTES:
        answer = _ask(http, route, desk.order_id, {"authorization": header})
        assert _refused_by(answer) == guard, route
        assert desk.order_id not in answer.text


@pytest.mark.parametrize("route", ROUTES)
def test_what_the_forger_starts_from_does_open_the_door(http: httpx.Client, desk: Desk, route: str) -> None:
    """Else every attack above would fail for a reason that nobody knows."""
    tokens = (desk.token, desk.key.signed(desk.claims), desk.issued(nbf=now() - 1, aud=[desk.claims["aud"]]))
    for header in (*(f"Bearer {token}" for token in tokens), f"bearer {desk.token}", desk.token):
        assert _ask(http, route, desk.order_id, {"authorization": header}).status_code in (200, 201, 202, 409)


SCHEMES: dict[str, Callable[[Desk], Any]] = {
    "no header": lambda d: {},
    "an empty header": lambda d: {"authorization": ""},
    "Bearer and nothing": lambda d: {"authorization": "Bearer"},
    "no scheme, garbage": lambda d: {"authorization": "garbage"},
    "Basic with the token": lambda d: {"authorization": f"Basic {d.token}"},
    "Basic with a password": lambda d: {"authorization": "Basic " + base64.b64encode(b"admin:admin").decode()},
    "Bearer twice": lambda d: {"authorization": f"Bearer Bearer {d.token}"},
    "Token": lambda d: {"authorization": f"Token {d.token}"},
    "DPoP": lambda d: {"authorization": f"DPoP {d.token}"},
    "AWS's signature": lambda d: {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261123/us-east-1/execute-api/a"},
    "two headers, the good one first": lambda d: [
        ("authorization", f"Bearer {d.token}"),
        ("authorization", f"Bearer {d.mine.signed(d.claims)}"),
    ],
    "two headers, the good one last": lambda d: [
        ("authorization", f"Bearer {d.mine.signed(d.claims)}"),
        ("authorization", f"Bearer {d.token}"),
    ],
    "two headers, both good": lambda d: [("authorization", f"Bearer {d.token}")] * 2,
    "in a cookie": lambda d: {"cookie": f"Authorization=Bearer {d.token}; token={d.token}"},
    "in a header of another name": lambda d: {"x-authorization": f"Bearer {d.token}"},
    "in a header that a load balancer would set": lambda d: {"x-amzn-oidc-data": d.token},
}


@pytest.mark.parametrize("name", SCHEMES)
def test_the_gateway_takes_a_token_from_one_bearer_header_only(http: httpx.Client, desk: Desk, name: str) -> None:
    for route in ROUTES:
        assert _refused_by(_ask(http, route, desk.order_id, SCHEMES[name](desk))) == GATEWAY, route


@pytest.mark.parametrize("parameter", ["access_token", "token", "id_token", "Authorization", "authorization"])
def test_the_gateway_takes_no_token_from_the_query(http: httpx.Client, desk: Desk, parameter: str) -> None:
    """A URL is logged on its way."""
    for value in (desk.token, f"Bearer {desk.token}"):
        assert _refused_by(http.get("/orders", params={parameter: value})) == GATEWAY


@pytest.mark.parametrize("junk", ["\x00", "\x00\x00 garbage", "\x0b", "\x7f", "\x1b[2J"], ids=repr)
def test_a_control_character_after_the_token_is_refused_before_anything_is_looked_at(
    cloud: Cloud, desk: Desk, junk: str
) -> None:
    """By the server itself, with 400, or by the authorizer."""
    status = _raw(cloud, f"Authorization: Bearer {desk.token}{junk}")
    assert status in (400, 401)


def test_a_token_of_a_megabyte_is_refused_before_anything_is_looked_at(http: httpx.Client) -> None:
    answer = http.get("/orders", headers={"authorization": "Bearer " + "A" * 2**20})
    assert 400 <= answer.status_code < 500


def _raw(cloud: Cloud, header: str) -> int:
    """The status of `GET /orders` with a header line that no decent client sends."""
    api = urlsplit(cloud.stack["apiUrl"])
    request = f"GET {api.path}/orders HTTP/1.1\r\nHost: {api.netloc}\r\nConnection: close\r\n{header}\r\n\r\n"
    with socket.create_connection((api.hostname, api.port), timeout=60) as connection:
        connection.sendall(request.encode("latin-1"))
        return int(connection.recv(64).split()[1])


# --- addresses that nobody has verified: our check --------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": ...},
        {"email_verified": "yes"},
        {"email_verified": 1},
        {"email_verified": None},
        {"email": ...},
        {"email": ""},
    ],
    ids=str,
)
def test_no_order_comes_from_an_address_that_is_not_verified(
    http: httpx.Client, desk: Desk, claims: Mapping[str, Any]
) -> None:
    header = {"authorization": f"Bearer {desk.issued(**claims)}"}
    answer = _ask(http, "POST /orders", "", header)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:order-processing:problem:email-not-verified")
    assert _ask(http, "GET /orders", "", header).status_code == 200, "her orders are hers all the same"


def test_a_real_customer_whose_address_is_not_verified_can_not_order(cloud: Cloud) -> None:
    answer = Shopper(cloud, verified=False).place()
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:order-processing:problem:email-not-verified")


# --- tokens after the end: Cognito's and the gateway's ----------------------------------------------------------------


@pytest.mark.parametrize("end", ["signed out everywhere", "disabled", "deleted", "refresh token revoked"])
def test_who_is_gone_gets_no_new_token(cloud: Cloud, end: str) -> None:
    """The authorizer asks nobody whether a token was revoked, on AWS as here: a token counts until it expires."""
    # given
    carla, cognito = Shopper(cloud), cloud.client("cognito-idp")
    whom = {"UserPoolId": cloud.stack["UserPoolId"], "Username": carla.email}
    refresh = {"REFRESH_TOKEN": carla.tokens["RefreshToken"]}
    sign_in = {"ClientId": cloud.stack["UserPoolClientId"], "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": refresh}
    assert cognito.initiate_auth(**sign_in)["AuthenticationResult"]["IdToken"]

    # when
    if end == "signed out everywhere":
        cognito.global_sign_out(AccessToken=carla.tokens["AccessToken"])
    elif end == "disabled":
        cognito.admin_disable_user(**whom)
    elif end == "deleted":
        cognito.admin_delete_user(**whom)
    else:
        cognito.revoke_token(Token=carla.tokens["RefreshToken"], ClientId=cloud.stack["UserPoolClientId"])

    # then
    with pytest.raises(cognito.exceptions.ClientError) as refusal:
        cognito.initiate_auth(**sign_in)
    assert refusal.value.response["Error"]["Code"] in ("NotAuthorizedException", "UserNotFoundException")
    assert carla.http.get("/orders").status_code == 200, "for the rest of the hour"


def test_a_refresh_token_is_no_key(http: httpx.Client, desk: Desk) -> None:
    """On AWS it is encrypted, and the gateway's to refuse; here it is a token like an access token, and ours."""
    for route in ROUTES:
        assert _refused_by(_ask(http, route, desk.order_id, {"authorization": f"Bearer {desk.refresh}"})) == HANDLER


def test_a_forger_who_knows_a_customer_s_idempotency_key_does_not_get_her_order(anna: Shopper, desk: Desk) -> None:
    key = str(uuid4())
    hers = anna.place(key=key).json()["orderId"]
    headers = {"authorization": f"Bearer {desk.mine.signed(desk.claims)}", "idempotency-key": key}
    answer = anna.http.post("/orders", json=an_order(), headers=headers)
    assert _refused_by(answer) == GATEWAY
    assert hers not in answer.text
