"""A visitor of the storefront, who uses it as people do: by labels, fields and clicks."""

import json
import re
from typing import Any, Self
from uuid import uuid4

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

PASSWORD = "Secret-password-1"
TIMEOUT_MS = 60_000  # for a chain of functions, each of which may start for the first time


class Visitor:
    """`complaints` lists what the browser reported: uncaught errors, and breaches of the content policy."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.email = f"visitor-{uuid4().hex[:12]}@example.com"
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        # A 401 or 502, or no network, which the page explains.
        failed_request = message.text.startswith(("Failed to load resource", "WebSocket connection to"))
        if message.type == "error" and not failed_request:
            self.complaints.append(message.text)

    # --- navigating ------------------------------------------------------------------------------------------

    def opens(self, route: str) -> Self:
        """`""` is the shop, `#/cart` the cart, and so on."""
        if self.page.url == self.url + route:  # else the browser would only scroll
            self.page.reload()
        else:
            self.page.goto(self.url + route)
        expect(self.title).to_be_visible()
        return self

    @property
    def title(self) -> Locator:
        return self.page.locator("main h1")

    @property
    def alert(self) -> Locator:
        """The error that the page shows."""
        return self.page.get_by_role("alert").filter(has_text=re.compile(r"\w"))

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    # --- the account ----------------------------------------------------------------------------------------------

    def asks_for_an_account(self) -> Self:
        self.opens("#/account")
        self.button("I am new here").click()
        self._fills_in(self.email, PASSWORD)
        self.button("Create the account").click()
        expect(self.title).to_have_text("Confirm your address")
        return self

    def signs_up(self) -> Self:
        """Sign up and confirm the address with the code that the page fills in on this machine."""
        self.asks_for_an_account()
        expect(self.page.get_by_label("Code")).to_have_value(re.compile(r"^\d{6}$"))
        self.button("Confirm").click()
        expect(self.button("Sign out")).to_be_visible()
        return self

    def signs_in(self, password: str = PASSWORD) -> Self:
        """Sign in on the page that asks for it."""
        self._fills_in(self.email, password)
        self.button("Sign in").click()
        return self

    def _fills_in(self, email: str, password: str) -> None:
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(password)

    def token_expires(self) -> Self:
        """Make the token expire: the page reads its `exp`."""
        self.page.evaluate(
            """() => {
                const [head, payload, signature] = JSON.parse(sessionStorage.getItem('idToken')).split('.');
                const claims = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
                const past = btoa(JSON.stringify({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }));
                sessionStorage.setItem('idToken', JSON.stringify([head, past, signature].join('.')));
            }"""
        )
        return self

    # --- ordering -------------------------------------------------------------------------------------------------

    def fills_the_cart(self) -> Self:
        self.opens("")
        self.button("Add Stoneware mug to the cart").click()
        self.page.get_by_role("link", name=re.compile("^Cart")).click()
        expect(self.title).to_have_text("Your cart")
        return self

    def orders(self, card: str = "Visa") -> Self:
        """Order a mug, and wait for the order's page."""
        self.fills_the_cart()
        self.page.get_by_role("radio", name=card).check()
        self.button("Order").click()
        self.page.wait_for_url("**/#/orders/*")
        expect(self.title).to_have_text(re.compile("^Order [0-9A-F]{8}$"))
        return self

    @property
    def order_id(self) -> str:
        return str(self.page.url).rpartition("/")[2]

    def sees_the_end(self, subject: str) -> Self:
        """Wait for the e-mail with this in its subject."""
        expect(self.page.get_by_role("heading", name=re.compile(subject))).to_be_visible(timeout=TIMEOUT_MS)
        return self

    @property
    def steps(self) -> list[str]:
        """The titles in the timeline."""
        return list(self.page.locator(".timeline .title").all_inner_texts())

    def node(self, name: str) -> Locator:
        """A part of the picture; its `data-state` is idle, done, now or waiting."""
        return self.page.locator(f'.picture [data-node="{name}"]')

    # --- behind the page ------------------------------------------------------------------------------------------

    def asks(self, path: str) -> Any:
        """The API's response to the customer's token."""
        return self.page.evaluate(
            """async (path) => {
                const authorization = `Bearer ${JSON.parse(sessionStorage.getItem('idToken'))}`;
                return (await fetch(`api${path}`, { headers: { authorization } })).json();
            }""",
            path,
        )

    def posts(self, path: str, body: Any) -> int:
        """The status of the response to a request that the page itself could send."""
        answer = self.page.evaluate(
            """async ([path, body]) => {
                const headers = { 'content-type': 'application/json' };
                return (await fetch(path, { method: 'POST', headers, body })).status;
            }""",
            [path, json.dumps(body)],
        )
        return int(answer)
