# %% [markdown]
# # 3 · Tokens and items
#
# ![The system, with Cognito, API Gateway, OrderService and Orders highlighted](../docs/pictures/03_tokens_and_items.svg)
#
# In this notebook you sign up as a customer without the help of `tour`, read what a token says,
# forge one, and compare the order that the API shows with the item that the table stores.

# %%
import tour

stack = tour.connect()

# %% [markdown]
# ## Sign up
#
# [Amazon
# Cognito](https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools.html)
# keeps the customers in a *user pool*. A customer signs up with an e-mail address and a
# password. The address here belongs to [SES's mailbox
# simulator](https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html), which
# accepts e-mail and delivers it to nobody.

# %%
import secrets

import boto3

cognito, client_id = boto3.client("cognito-idp"), stack.outputs["UserPoolClientId"]
email = f"success+{secrets.token_hex(4)}@simulator.amazonses.com"
password = f"{secrets.token_urlsafe(12)}-Aa1"
signed_up = cognito.sign_up(
    ClientId=client_id,
    Username=email,
    Password=password,
    UserAttributes=[{"Name": "email", "Value": email}],
)
tour.values(confirmed=signed_up["UserConfirmed"])

# %% [markdown]
# A customer would now enter the code that Cognito has sent by e-mail. You're the pool's
# administrator, so you confirm the account yourself:

# %%
account = {"UserPoolId": stack.outputs["UserPoolId"], "Username": email}
cognito.admin_confirm_sign_up(**account)
verified = [{"Name": "email_verified", "Value": "true"}]
cognito.admin_update_user_attributes(**account, UserAttributes=verified)
tour.values(status=cognito.admin_get_user(**account)["UserStatus"])

# %% [markdown]
# ## Sign in
#
# Signing in gives you three tokens. Two of them matter here: the **ID token** says who you are,
# and the **access token** says what you may do in Cognito.

# %%
signed_in = cognito.initiate_auth(
    ClientId=client_id,
    AuthFlow="USER_PASSWORD_AUTH",
    AuthParameters={"USERNAME": email, "PASSWORD": password},
)["AuthenticationResult"]
id_token, access_token = signed_in["IdToken"], signed_in["AccessToken"]

# %% [markdown]
# ## What a token says
#
# Each of them is a JSON Web Token (JWT). It has three parts in Base64, separated by dots: a
# header, the claims, and the signature. The claims aren't secret: anyone who has the token can
# read them.

# %%
import base64
import json


def part(token, number):
    """The header (0) or the claims (1) of a token, without any check."""
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


claims, access = part(id_token, 1), part(access_token, 1)
names = ("token_use", "sub", "iss", "aud", "client_id", "email", "email_verified")
tour.table(
    {"claim": name, "ID token": claims.get(name), "access token": access.get(name)}
    for name in names
)

# %% [markdown]
# `iss` says who issued the token, and `aud` says for which client. The API's [JWT
# authorizer](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html)
# checks both, and verifies the signature with the user pool's public key. Another claim, `sub`,
# is your customer id.

# %%
tour.expect("the ID token was issued for this client", claims["aud"] == client_id)
tour.expect("the access token has no e-mail address", "email" not in access)

# %% [markdown]
# ## Order with the token

# %%
import httpx

signed = {"Authorization": f"Bearer {id_token}"}
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
url = f"{stack.api_url}/orders"
response = httpx.post(url, json=wish, headers=signed, timeout=60)
order = response.json()
tour.values(code=response.status_code, status=order["status"])

# %%
stored, rows = tour.follow(order["orderId"])
tour.sequence(rows, stored)

# %% [markdown]
# ## The item
#
# The API shows an order. The table Orders stores an *item*, which has the same attributes and
# some more: whose order it is, where to send e-mail, and what a later repair needs. These are
# the attributes that the API doesn't show:

# %%
orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])
key = {"orderId": order["orderId"]}
item = orders.get_item(Key=key, ConsistentRead=True)["Item"]
shown = httpx.get(f"{url}/{order['orderId']}", headers=signed, timeout=60).json()
tour.values(**{name: item[name] for name in sorted(set(item) - set(shown))})

# %%
tour.expect("the item belongs to you", item["customerId"] == claims["sub"])
tour.expect("the API doesn't show the address", "email" not in shown)

# %% [markdown]
# While an order is open, its item also has `openShard` and `dueAt`, by which the Reconciler
# finds orders that are stuck (notebook 10). This order has ended, so they're gone.

# %%
tour.expect("the order is closed", not {"openShard", "dueAt"} & set(item))

# %% [markdown]
# ## Break it: the wrong token
#
# You're going to send three tokens: the ID token; the ID token with another customer's id in
# `sub`; and the access token, which is genuine. **Predict** the status code of each response.
#
# <details><summary>Answer</summary>
#
# - The ID token: 200.
# - The forged one: 401. The signature doesn't match the claims. API Gateway responds by itself,
#   and no function is invoked.
# - The access token: 403. API Gateway lets it pass, because it accepts `client_id` in place of
#   `aud`. The function then checks `token_use`, and rejects the request.
#
# </details>

# %%
header, _, signature = id_token.split(".")
changed = json.dumps({**claims, "sub": "another-customer"}).encode()
forged = base64.urlsafe_b64encode(changed).decode().rstrip("=")
tokens = {
    "ID token": id_token,
    "forged": f"{header}.{forged}.{signature}",
    "access token": access_token,
}
codes = {
    name: httpx.get(
        url, headers={"Authorization": f"Bearer {token}"}, timeout=60
    ).status_code
    for name, token in tokens.items()
}
tour.values(**codes)

# %%
tour.expect("only the ID token is accepted", list(codes.values()) == [200, 401, 403])

# %% [markdown]
# The 403 comes from this module:

# %%
from handlers import identity

tour.source(identity)

# %% [markdown]
# ## Break it: another customer's order
#
# **Predict**: another customer requests your order. Is the response 403 or 404?
#
# <details><summary>Answer</summary>
#
# 404, the same as for an order that doesn't exist. A 403 would reveal to a stranger that the id
# is real.
#
# </details>

# %%
stranger = tour.customer()
headers = {"Authorization": f"Bearer {stranger.token}"}
theirs = httpx.get(f"{url}/{order['orderId']}", headers=headers, timeout=60)
tour.expect("to a stranger, the order doesn't exist", theirs.status_code == 404)

# %% [markdown]
# ## Lab 3.1: whose token is it?
#
# Write `customer_of(token)`, which returns the customer id of an ID token, and `None` for any
# other token. The check signs up a new customer, places an order, and compares your result with
# the `customerId` that the stack stored.


# %% tags=["exercise"]
def customer_of(token):
    return None


tour.check("3.1", customer_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def customer_of(token):
#     claims = part(token, 1)
#     return claims["sub"] if claims["token_use"] == "id" else None
#
#
# tour.check("3.1", customer_of)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - API Gateway checks that a token is genuine; the function checks that it's an ID token.
# - The customer's id comes from the token, never from the request.
# - The table stores more than the API shows: the e-mail address, for example, is for
#   Notification alone.
#
# **Next:** [4 · The event bus](04_the_event_bus.ipynb) connects a queue of your own to the bus.
