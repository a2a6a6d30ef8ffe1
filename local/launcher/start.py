"""`npm start`: start the stack, place the sample orders, show what happens, and keep running."""

import errno
import json
import os
import shlex
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from local.emulator.inbox import inbox
from local.emulator.keeping import is_kept
from local.emulator.state import LocalError, State, write
from local.launcher.page import offer_page, wait_or_open
from local.launcher.postman import environment
from local.launcher.running import stack
from local.launcher.samples import SAMPLES, calling, follow, place, shortcoming
from local.launcher.stopping import Stopped
from local.launcher.streaming import streamed
from local.storefront import sample_customer
from local.terminal.output import Terminal
from operations.customer import ShopAccount
from operations.outage import without_events_for
from operations.stack import Stack, find

_CUSTOMER = sample_customer.EMAIL
_ORDER = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
_KEPT = "`npm start -- --keep` continues with its state"
_NOT_KEPT = "its orders and customers are then gone. `npm start -- --keep` keeps them"
_TOKEN_RENEWAL_SECONDS = 45 * 60  # an ID token is valid for an hour


def start(port: int, *, once: bool, keep: bool = False, parameters: Mapping[str, str] | None = None) -> int:
    """Run `npm start`; return the exit code. Raises LocalError, and Stopped before it is ready."""
    terminal, state = Terminal(), State()
    if is_kept(state) and not keep:
        terminal.say("[dim]A new stack; the kept one is still in {kept}: npm start -- --keep[/]", kept=state.kept)
    with stack(state, port, web_port=port + 1, keep=keep, parameters=parameters, step=terminal.step) as description:
        terminal.say("\n[bold]The storefront[/] is at {url}\n", url=description["webUrl"])
        with terminal.step("Signing up a customer"), calling("the sign-up of a sample customer"):
            running = find("local")
            customer = ShopAccount(
                running.client("cognito-idp"), description, description["apiUrl"], _CUSTOMER, may_exist=keep
            )
        if keep and _has_orders(customer):
            terminal.say("\nThis is the kept stack, with its orders, customers and dead letters.")
            well = True
        else:
            well = show_samples(terminal, customer, running, description["endpointUrl"])
        if once:
            return 0 if well else 1
        try:
            _hand_out(description, customer, state)
            with streamed(terminal, find("local")):
                _show_next_steps(terminal, description, state.token, keep=keep)
                offer_page(terminal)
                _stay(description, customer, state)
        except Stopped:
            terminal.say()
        finally:
            for file in (state.token, state.postman):
                file.unlink(missing_ok=True)
    return 0


def _has_orders(customer: ShopAccount) -> bool:
    with calling("GET /orders"):
        return bool(customer.get("/orders?limit=1")["orders"])


def show_samples(terminal: Terminal, customer: ShopAccount, running: Stack, endpoint_url: str) -> bool:
    """Place the sample orders, show each one's timeline, then the e-mails; return whether each ended as it should."""
    terminal.say("\nThe sample orders. The first is slow: every function starts for the first time.\n")
    shortcomings, emails = [], []
    for sample in SAMPLES:
        with ExitStack() as held_back:
            if sample.is_cancelled:  # before it is shipped, for certain
                with calling("disabling Fulfillment's rule"):
                    held_back.enter_context(without_events_for(running, "fulfillment"))
            order = place(sample, customer)
            with terminal.timeline(sample, order) as show:
                for evidence in follow(sample, order, customer):
                    show(evidence)
        with calling("reading the sent e-mails"):
            sent = {message["MessageId"]: message for message in inbox(endpoint_url, customer.email)}
        if wrong := shortcoming(sample, evidence, sent):
            shortcomings.append(wrong)
            terminal.say("[bold red]✗ {wrong}[/]", wrong=wrong)
        if email := sent.get(evidence.order.get("notification", {}).get("messageId")):
            emails.append(email)
        terminal.say()
    terminal.emails(emails)
    well, colour = len(SAMPLES) - len(shortcomings), "red" if shortcomings else "green"
    words = f"\n[{colour}]{{well}} of {{samples}} orders ended as they should, with their e-mail sent[/]"
    terminal.say(words, well=well, samples=len(SAMPLES))
    return not shortcomings


def _show_next_steps(terminal: Terminal, description: Mapping[str, Any], token: Path, *, keep: bool) -> None:
    shown = shlex.quote(os.path.relpath(token) if token.is_relative_to(Path.cwd()) else str(token))
    around_proxy = "--noproxy '*' " if getproxies().keys() & {"http", "all"} else ""
    words = """
[bold]The storefront[/]: order something at {web}

[bold]The API[/] is at {api}
List the sample orders, signed in as {customer}:

curl {around_proxy}-H "Authorization: Bearer $(cat {token})" {orders}

Place an order. Repeating the command places no second one; another key does:

curl {around_proxy}-H "Authorization: Bearer $(cat {token})" -H "Idempotency-Key: first" {as_json} -d {order} {orders}

A 401 means that the token has expired, after an hour. A new one is in {token} by then: repeat the command.
In Postman, import docs/postman/collection.json and {postman}; after a 401, import the latter again.

[bold]What next?[/]
  npm run notebooks                                  the tour: eleven notebooks on this stack
  Break it, on the storefront                        take the payment gateway down, order, and watch the rescue
  npm run break-it -- gateway down --stage local     the same from a terminal; `gateway up` heals it
  npm run dlq -- list --stage local                  the events that failed, and why
  npm run ledger -- --stage local                    whether the orders agree with the payment provider's ledger
  orders/choreography.py                             every step of an order's life, on one page
  Ctrl-C                                             stops everything; {state}

Every order is shown here as it happens.
"""
    terminal.say(
        words,
        web=description["webUrl"],
        api=description["apiUrl"],
        customer=_CUSTOMER,
        around_proxy=around_proxy,
        token=shown,
        postman=str(Path(shown).with_name("postman.json")),
        as_json='-H "Content-Type: application/json"',
        order=shlex.quote(json.dumps(_ORDER, separators=(",", ":"))),
        orders=shlex.quote(f"{description['apiUrl']}/orders"),
        state=_KEPT if keep else _NOT_KEPT,
    )


def _stay(description: Mapping[str, Any], customer: ShopAccount, state: State) -> None:
    """Keep running until Stopped, and renew the token. Raises LocalError when the emulator ends by itself."""
    renew_at = time.time() + _TOKEN_RENEWAL_SECONDS
    while _listens(description["endpointUrl"]):
        if time.time() > renew_at:
            with calling("a new ID token"):
                customer.sign_in()
            _hand_out(description, customer, state)
            renew_at = time.time() + _TOKEN_RENEWAL_SECONDS
        wait_or_open(1, description.get("webUrl", ""))  # until the next check
    raise LocalError(f"the embedded AWS has ended by itself; its log: {state.emulator_log}")


def _listens(url: str) -> bool:
    """Whether a server is there: also a busy one that does not respond in time."""
    address = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((address.hostname, address.port)) != errno.ECONNREFUSED


def _hand_out(description: Mapping[str, Any], customer: ShopAccount, state: State) -> None:
    """Write the files that have the customer's token."""
    state.token.touch(mode=0o600)
    state.token.write_text(customer.token)
    write(state.postman, environment(description, customer))
