# %% [markdown]
# # 6 · Any order of arrival
#
# ![The system, with OrderStatusUpdater highlighted](../docs/pictures/06_any_order_of_arrival.svg)
#
# In this notebook you publish events in the wrong order and twice, and watch that the order's
# status is right all the same. Then you try every order of arrival there is.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# EventBridge doesn't keep events in order. `FulfillmentCompletedEvent` can overtake
# `PaymentCompletedEvent`, and each can arrive twice. If OrderStatusUpdater wrote what the latest
# event says, a late event would set a shipped order back to `PAID`.
#
# So the status is a **state machine**: a table says which status may follow which, and each
# write has the table's line as its condition. A late event fails the condition, and that's fine.
# The order reaches its final status however its events arrive: the system is
# **eventually consistent**.

# %%
from orders import model

tour.table(
    {"event": event.__name__, "new status": to, "may follow": sorted(origins)}
    for event, (to, origins) in model.TRANSITIONS.items()
)

# %%
moves = [(old, new) for new, olds in model.TRANSITIONS.values() for old in sorted(olds)]
tour.topology(moves)

# %% [markdown]
# ## Hold the events back
#
# To choose the order of arrival yourself, you hold OrderStatusUpdater's events back while an
# order is processed: `tour.rules_off` disables its rule, and enables it again after the block.

# %%
wish = {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
with tour.rules_off("orderStatusUpdater"):
    order_id = customer.post("/orders", wish)["orderId"]
    tour.wait_until(
        lambda: "notification" in tour.order(order_id), "the e-mail to the customer"
    )
stuck = tour.order(order_id)
tour.values(
    status=stuck["status"],
    payment=stuck["payment"]["status"],
    tracking_id=stuck["fulfillment"]["trackingId"],
)

# %%
tour.expect("paid, shipped, and the status doesn't know", stuck["status"] == "PLACED")

# %% [markdown]
# ## The wrong order
#
# You publish copies of the two events, **the later one first**: the fulfilment, then the
# payment, then both again. **Predict** the final status, and what `statusHistory` will contain.
#
# <details><summary>Answer</summary>
#
# `FULFILLED`, and it stays. The history has `PLACED` and `FULFILLED`. The order never was `PAID`:
# when that event arrived, the order had a later status already.
#
# </details>

# %%
_, paid, fulfilled = tour.rows_of(order_id)
tour.publish(fulfilled)
tour.wait_until(
    lambda: tour.order(order_id)["status"] == "FULFILLED", "the status FULFILLED"
)
tour.values(status=tour.order(order_id)["status"])

# %%
for row in (paid, fulfilled, paid):
    tour.publish(row)
tour.wait_until(
    lambda: len(tour.rows_of(order_id)) == 7, "all four copies in the audit log"
)
now = tour.order(order_id)

# %% [markdown]
# The picture has a lane for you, since you published the copies. ↻ marks a fact that was
# published before. You see the overtaking: `FULFILLED` comes before the payment's copy.

# %%
tour.sequence(tour.rows_of(order_id), now)

# %%
history = [change["status"] for change in now["statusHistory"]]
tour.expect("the payment didn't set it back", now["status"] == "FULFILLED")
tour.expect("the history skips PAID", history == ["PLACED", "FULFILLED"])

# %% [markdown]
# ## Why it works
#
# This is the step, and the write with its condition:

# %%
from orders.choreography import update_status

tour.source(update_status)

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.advance)

# %% [markdown]
# ## Every order of arrival
#
# One order of arrival proves little. Here are all of them: the payment's event (P) and the
# fulfilment's (F), each twice. There are six sequences; each gets an order of its own. You invoke
# the deployed function yourself, while its rule is off.

# %%
from functools import partial
from itertools import permutations

arrivals = sorted(set(permutations("PPFF")))


def three_rows(order_id):
    rows = tour.rows_of(order_id)
    return rows if len(rows) == 3 else None


with tour.rules_off("orderStatusUpdater"):
    orders = [customer.post("/orders", wish)["orderId"] for _ in arrivals]
    trails = [
        tour.wait_until(partial(three_rows, each), f"the events of order {each[:8]}")
        for each in orders
    ]

# %%
import json

import boto3

functions = boto3.client("lambda")


def invoke(row):
    """Invoke OrderStatusUpdater with an event, as EventBridge would; wait for it."""
    response = functions.invoke(
        FunctionName=stack.function("orderStatusUpdater"),
        Payload=json.dumps(tour.envelope_of(row)),
    )
    return response.get("FunctionError", "ok")


row_of = {"P": 1, "F": 2}
outcomes = [
    [invoke(trail[row_of[event]]) for event in arrival]
    for arrival, trail in zip(arrivals, trails)
]
ends = [tour.order(each) for each in orders]
tour.table(
    {
        "arrival": " ".join(arrival),
        "history": [change["status"] for change in end["statusHistory"]],
        "final": end["status"],
    }
    for arrival, end in zip(arrivals, ends)
)

# %%
tour.expect(
    "every sequence ends the same", {end["status"] for end in ends} == {"FULFILLED"}
)
tour.expect("no invocation failed", all(set(each) == {"ok"} for each in outcomes))

# %% [markdown]
# ## Break it: a forged event
#
# A late event and a false one are different things. Somebody publishes a `PaymentCompletedEvent`
# of one cent. **Predict** what happens.
#
# <details><summary>Answer</summary>
#
# The status stays as it is. The event contradicts the stored order, so both of its consumers
# raise an error, and the dead-letter queue keeps it twice: once for each consumer.
#
# </details>

# %%
tour.publish(paid, totalAmount=1)
dead_letters = [tour.dead_letter_of(order_id) for _ in range(2)]
tour.table({"consumer": each.consumer, "reason": each.reason} for each in dead_letters)

# %%
tour.expect("nothing changed", tour.order(order_id) == now)

# %% [markdown]
# ## Lab 6.1: your own state machine
#
# A parcel has the statuses `PACKED`, `SENT` and `DELIVERED`, and its events arrive in any order.
# Write, for each status, the set of statuses that it may follow. The check plays every order of
# arrival with real conditional writes: the parcel must always end as `DELIVERED`, and never go
# back.

# %% tags=["exercise"]
may_follow = {"SENT": set(), "DELIVERED": set()}

tour.check("6.1", may_follow)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# may_follow = {"SENT": {"PACKED"}, "DELIVERED": {"PACKED", "SENT"}}
# tour.check("6.1", may_follow)
# ```
#
# `DELIVERED` may follow `PACKED` because the event of `SENT` may come late, or never.
#
# </details>

# %% [markdown]
# ## Recap
#
# - The bus doesn't keep events in order, so the order of arrival must not matter.
# - The state machine is a condition on the write; a late event fails it, and nothing happens.
# - An event that contradicts the order isn't late but wrong: it's kept and reported.
#
# **Next:** [7 · Notifying the customer](07_notifying_the_customer.ipynb), where a second effect
# can't be undone.
