# %% [markdown]
# # 6 · Any order of arrival
#
# ![The system, with OrderStatusUpdater highlighted](../docs/pictures/06_any_order_of_arrival.svg)
#
# In this notebook you publish events twice and in the wrong order, and see that the customer's
# order still gets the right status. Then you try every possible order of arrival.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# EventBridge doesn't keep events in order. `FulfillmentCompletedEvent` can overtake
# `PaymentCompletedEvent`, and each can arrive twice. If OrderStatusUpdater simply stored what
# the most recently delivered event says, a late event would set a shipped order back to `PAID`.
#
# So the status is a **state machine**: a table says which status may follow which, and each
# write has the condition that the table allows the change. A late event doesn't meet the
# condition, so it changes nothing. The order reaches its final status in whatever order its
# events arrive: the system is **eventually consistent**.

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
# To choose the order of arrival yourself, you keep events from OrderStatusUpdater while an
# order is processed: `tour.rules_off` disables its rule, and enables it again after the block.
# The events that the function misses aren't delivered later.

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
tour.expect("it's paid and shipped, but still PLACED", stuck["status"] == "PLACED")

# %% [markdown]
# ## The wrong order
#
# You publish copies of the two events that the function missed, **the later one first**: the
# fulfilment, then the payment, then both again in the same order. **Predict** the final status,
# and what `statusHistory` will contain.
#
# <details><summary>Answer</summary>
#
# `FULFILLED`, which doesn't change any more. The history has `PLACED` and `FULFILLED`. The
# status never was `PAID`: when that event arrived, the order already had a later status.
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
# The picture has a lane for you, because you published the copies. ↻ marks a fact that had been
# published before. You can see that the fulfilment overtook the payment: the status becomes
# `FULFILLED` before the copy of the payment's event.

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
# fulfilment's (F), each twice. That makes six sequences, and you place an order for each, while
# OrderStatusUpdater's rule is disabled. Then you invoke the deployed function yourself with
# each event.

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
    "all six orders are FULFILLED", {end["status"] for end in ends} == {"FULFILLED"}
)
tour.expect("no invocation failed", all(set(each) == {"ok"} for each in outcomes))

# %% [markdown]
# ## Break it: a forged event
#
# A late event reports what really happened; a forged one doesn't. Someone publishes a
# `PaymentCompletedEvent` with an amount of one cent. **Predict** what happens.
#
# <details><summary>Answer</summary>
#
# The status stays as it is. The event contradicts the stored order, so Fulfillment and
# OrderStatusUpdater, which both consume it, raise an error. The dead-letter queue keeps the
# event twice, once for each of them.
#
# </details>

# %%
tour.publish(paid, totalAmount=1)
dead_letters = [tour.dead_letter_of(order_id) for _ in range(2)]
tour.table({"consumer": each.consumer, "reason": each.reason} for each in dead_letters)

# %%
tour.expect("the order didn't change", tour.order(order_id) == now)

# %% [markdown]
# ## Lab 6.1: your own state machine
#
# A parcel has the statuses `PACKED`, `SENT` and `DELIVERED`, and its events arrive in any
# order. For each status, write the set of statuses that it may follow. With real conditional
# writes, the check tries every order of arrival, including those in which an event is missing
# or comes twice. The parcel must always end with the furthest status that arrived, and never go
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
# `DELIVERED` may follow `PACKED`, because the event for `SENT` may come late, or never.
#
# </details>

# %% [markdown]
# ## Recap
#
# - The bus doesn't keep events in order, so the order of arrival must not matter.
# - The state machine is a condition on the write; a late event doesn't meet it, and changes
#   nothing.
# - An event that contradicts the order isn't late, it's wrong: the dead-letter queue keeps it
#   with the reason.
#
# **Next:** [7 · Notifying the customer](07_notifying_the_customer.ipynb) looks at an effect
# that can't be undone.
