"""A customer for trying a stack: signs up and in through Cognito and calls the API, on stage `local` and on AWS."""

import json
import secrets
import urllib.request
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.error import HTTPError


class ShopAccount:
    """One signed-in customer, with a password of its own; `token` is the ID token, which is valid for an hour."""

    def __init__(
        self, cognito: Any, outputs: Mapping[str, str], api_url: str, email: str, *, may_exist: bool = False
    ) -> None:
        """With `may_exist`, an existing account gets a new password."""
        self.email = email
        self._cognito = cognito
        self._outputs = outputs
        self._api_url = api_url
        self.password = f"{secrets.token_urlsafe(16)}-Aa1"
        try:
            self._sign_up()
        except cognito.exceptions.UsernameExistsException:
            if not may_exist:
                raise
            self._replace_password()
        self.token = self.sign_in()

    def _sign_up(self) -> None:
        """As a customer does, except for the code by e-mail: the administrator confirms account and address."""
        self._cognito.sign_up(
            ClientId=self._outputs["UserPoolClientId"],
            Username=self.email,
            Password=self.password,
            UserAttributes=[{"Name": "email", "Value": self.email}],
        )
        account = {"UserPoolId": self._outputs["UserPoolId"], "Username": self.email}
        self._cognito.admin_confirm_sign_up(**account)
        verified = [{"Name": "email_verified", "Value": "true"}]
        self._cognito.admin_update_user_attributes(**account, UserAttributes=verified)

    def _replace_password(self) -> None:
        """As the administrator may: nobody knows the old password any more."""
        self._cognito.admin_set_user_password(
            UserPoolId=self._outputs["UserPoolId"], Username=self.email, Password=self.password, Permanent=True
        )

    def sign_in(self) -> str:
        """Get a new ID token."""
        response = self._cognito.initiate_auth(
            ClientId=self._outputs["UserPoolClientId"],
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": self.email, "PASSWORD": self.password},
        )
        self.token = str(response["AuthenticationResult"]["IdToken"])
        return self.token

    def remove(self) -> None:
        """Delete the account."""
        self._cognito.admin_delete_user(UserPoolId=self._outputs["UserPoolId"], Username=self.email)

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._call("POST", path, None if body is None else json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            self._api_url + path,
            method=method,
            data=body,
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except HTTPError as refused:
            reason = refused.read()
            again = HTTPError(refused.url, refused.code, refused.msg, refused.headers, BytesIO(reason))
            again.add_note(reason.decode())
            raise again from None
