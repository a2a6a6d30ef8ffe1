"""A customer of the running stack: signs up and in through Cognito, and talks to the API over HTTP."""

import json
import secrets
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3


class Customer:
    """One signed-in customer; `token` is the ID token, which is good for an hour."""

    def __init__(self, stack: Mapping[str, Any], email: str) -> None:
        self.email = email
        self._stack = stack
        self._password = f"{secrets.token_urlsafe(16)}-Aa1"
        self._cognito = boto3.client(
            "cognito-idp",
            endpoint_url=stack["endpointUrl"],
            region_name=stack["region"],
            aws_access_key_id=stack["accessKeyId"],
            aws_secret_access_key=stack["secretAccessKey"],
        )
        self._sign_up()
        self.token = self.sign_in()

    def _sign_up(self) -> None:
        """As a customer does, but for the code by e-mail: the administrator confirms the account and the address."""
        self._cognito.sign_up(
            ClientId=self._stack["UserPoolClientId"],
            Username=self.email,
            Password=self._password,
            UserAttributes=[{"Name": "email", "Value": self.email}],
        )
        account = {"UserPoolId": self._stack["UserPoolId"], "Username": self.email}
        self._cognito.admin_confirm_sign_up(**account)
        self._cognito.admin_update_user_attributes(
            **account, UserAttributes=[{"Name": "email_verified", "Value": "true"}]
        )

    def sign_in(self) -> str:
        """Get a new ID token."""
        answer = self._cognito.initiate_auth(
            ClientId=self._stack["UserPoolClientId"],
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": self.email, "PASSWORD": self._password},
        )
        self.token = str(answer["AuthenticationResult"]["IdToken"])
        return self.token

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            self._stack["apiUrl"] + path,
            method=method,
            data=body,
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def inbox(self) -> list[Mapping[str, Any]]:
        """The e-mails that SES sent to this customer; Cognito's are not among them."""
        with urllib.request.urlopen(f"{self._stack['endpointUrl']}/_ministack/ses/messages", timeout=10) as response:
            messages = [message for account in json.load(response)["messages"].values() for message in account]
        return [message for message in messages if self.email in message["To"] and message["Source"] != _COGNITO]


_COGNITO = "no-reply@verificationemail.com"
