# %% [markdown]
# # 1 · Your first order
#
# ![How an order travels](../docs/architecture.svg)
#
# You order a coffee grinder. Nobody tells PaymentProcessing to charge you, nobody calls Fulfillment, nobody calls the post: each
# reacts to an **event** that somebody else published. In ten minutes you will have watched three of them pass.
#
# **You need** nothing but this notebook: the first cell finds the running stack, or starts one on your machine.

# %% [markdown]
# ## The stack
#
# `tour` does what is not the lesson: connecting, waiting, drawing. From here on plain `boto3` talks to the stack.

# %%
import boto3
import httpx
import tour

stack = tour.connect()

# %% [markdown]
# ## Sign up and sign in
#
# Cognito keeps the customers. You sign up with an e-mail address and a password …

# %%
import secrets

cognito = boto3.client("cognito-idp")
email, password = f"you-{secrets.token_hex(4)}@example.com", f"{secrets.token_urlsafe(12)}-Aa1"
cognito.sign_up(
    ClientId=stack.outputs["UserPoolClientId"],
    Username=email,
    Password=password,
    UserAttributes=[{"Name": "email", "Value": email}],
)["UserConfirmed"]

# %% [markdown]
# … and would now type the code that Cognito mailed to you. As the pool's administrator you can confirm yourself.

# %%
account = {"UserPoolId": stack.outputs["UserPoolId"], "Username": email}
cognito.admin_confirm_sign_up(**account)
cognito.admin_update_user_attributes(**account, UserAttributes=[{"Name": "email_verified", "Value": "true"}])
cognito.admin_get_user(**account)["UserStatus"]

# %% [markdown]
# Signing in gives you tokens. The API wants the **ID token**: it says who you are.

# %%
tokens = cognito.initiate_auth(
    ClientId=stack.outputs["UserPoolClientId"],
    AuthFlow="USER_PASSWORD_AUTH",
    AuthParameters={"USERNAME": email, "PASSWORD": password},
)["AuthenticationResult"]
signed_in = {"Authorization": f"Bearer {tokens['IdToken']}"}
sorted(tokens)

# %% [markdown]
# ## Order
#
# **Predict first.** You will send a product, a quantity and a payment method. There is no price in it. What will `status` be in the
# answer: `PLACED`, `PAID` or `FULFILLED`?
#
# <details><summary>Answer</summary>
#
# `PLACED`. OrderService writes the order, publishes one event and answers. Everything else happens after you have your answer.
#
# </details>

# %%
wish = {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"}
answer = httpx.post(f"{stack.api_url}/orders", json=wish, headers=signed_in, timeout=60)
order = answer.json()
answer.status_code, order["status"], order["totalAmount"], order["currency"]

# %%
assert (answer.status_code, order["status"]) == (201, "PLACED")

# %% [markdown]
# The amount is in minor units, cents here. It came from the server's catalogue.
#
# ## Watch
#
# Now the others react. `tour.follow` waits until the order has its final status and you were told; the first time takes a few
# seconds, since each function starts for the first time.

# %%
stored, rows = tour.follow(order["orderId"])

# %% [markdown]
# Every event that passed on the bus was logged by a function of its own, in the table **AuditLog**. This is what passed:

# %%
[(row["timestamp"], row["eventType"]) for row in rows]

# %%
assert [row["eventType"] for row in rows] == ["OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"]

# %% [markdown]
# And this is the picture of it. Each coloured arrow is one row of AuditLog; the dashed arrow above it is the event that caused it.

# %%
tour.sequence(rows, stored)

# %% [markdown]
# ## The evidence
#
# The order itself kept what each step found out. Look at it as the API shows it:

# %%
now = httpx.get(f"{stack.api_url}/orders/{order['orderId']}", headers=signed_in).json()
{name: now[name] for name in ("status", "payment", "fulfillment", "statusHistory")}

# %%
assert [change["status"] for change in now["statusHistory"]] == ["PLACED", "PAID", "FULFILLED"]

# %% [markdown]
# ## The code that did it
#
# This is the whole of Fulfillment's Lambda function. It takes one event, does one step, publishes one event:

# %%
from handlers import fulfillment

tour.source(fulfillment)

# %% [markdown]
# And this is the step. Where does it say who comes next? Nowhere: it returns an event, and whoever is interested reacts.

# %%
from orders.choreography import fulfill

tour.source(fulfill)

# %% [markdown]
# ## Break it
#
# What if you name your own price? **Predict**: 201 and cheap, 201 at the usual price, or an error?
#
# <details><summary>Answer</summary>
#
# An error, 422: the request may not have fields that the API does not know. Nothing was written, and no event was published.
#
# </details>

# %%
cheap = httpx.post(f"{stack.api_url}/orders", json={**wish, "totalAmount": 1}, headers=signed_in)
cheap.status_code, cheap.json()["errors"]

# %%
assert cheap.status_code == 422

# %% [markdown]
# ## Exercise 1.1
#
# Order with a card that is declined (`tok_declined`), follow the order, and hand its rows of AuditLog to `check`. How many events
# do you expect?

# %% tags=["exercise"]
rows_of_declined = None  # your rows here

tour.check("1.1", rows_of_declined)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# declined = httpx.post(
#     f"{stack.api_url}/orders", json={**wish, "paymentMethod": "tok_declined"}, headers=signed_in
# ).json()
# _, rows_of_declined = tour.follow(declined["orderId"])
# tour.check("1.1", rows_of_declined)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A request is answered as soon as the order is written and its event published; the rest happens by events.
# - No function calls another. Each takes one event, does one step and publishes one event.
# - What happened can be told afterwards from AuditLog alone.
#
# **Next:** [2 · What was deployed](02_what_was_deployed.ipynb) shows which rule led which event to whom.
