# %% [markdown]
# # 14 · The same order, orchestrated
#
# ![The system, with the steps that an orchestrator would call highlighted](../docs/pictures/14_orchestrated.svg)
#
# Until here no function knew the whole order: each consumed an event and published
# the next. In this notebook a *state machine* knows the whole and calls one step
# after the other. You run it on AWS Step Functions, give it the faults that you know,
# compare its evidence with the audit log's, and decide when events are the wrong
# choice.
#
# ## Two ways to agree
#
# In a **choreography** there is no conductor. Every dancer knows their own steps and
# watches the others: PaymentProcessing charges when it sees `OrderPlacedEvent`, and
# doesn't know that Fulfillment watches it in turn. In an **orchestration** a
# conductor says whose turn it is, and waits for each to finish. AWS describes both as
# forms of the
# [saga](https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/saga.html):
# a business transaction of several steps, each of which can be compensated.
#
# [AWS Step Functions](https://docs.aws.amazon.com/step-functions/latest/dg/welcome.html)
# is such a conductor. You write a *state machine* in JSON: its states, and which one
# follows which. Each *execution* is one order on its path through the states.

# %%
import json

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
wish = {
    "items": [{"sku": "MUG", "quantity": 1}],
    "paymentMethod": "tok_visa",
}

# %% [markdown]
# ## Steps that don't know each other
#
# You need a function for each step: take the payment, ship, refund, notify, and one
# that asks a person, for later. `Workshop` creates them for you, with a table and two
# roles of their own, so that nothing here touches the deployed system. (All of it is
# removed at the end of this notebook, or when you leave it in between.)

# %%
from notebooks.orchestration import evidence, steps
from notebooks.orchestration.workshop import Workshop

shop = Workshop(stack)
tour.table([{"created": name} for name in shop.leftovers()])

# %% [markdown]
# A step takes the order, does one thing, and returns the order with the result. It
# reads like one of the deployed functions, except for one thing: it publishes
# nothing.

# %%
tour.source(steps.ship)

# %% [markdown]
# The payment provider is simulated, as in the deployed system: it keeps a ledger by
# idempotency key. `event["key"]` comes from the state machine.

# %%
tour.source(steps.take_payment)

# %% [markdown]
# ## The whole order on one page
#
# A **Task** runs a step. `Next` names the state that follows. A **Choice** looks at
# the order and decides. The language is the
# [Amazon States Language](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html).

# %%
key = {"order.$": "$", "key.$": "$.orderId"}
paid = {
    "Variable": "$.payment.status",
    "StringEquals": "COMPLETED",
    "Next": "Ship",
}
states = {
    "Take payment": shop.task("take_payment", key, Next="Approved?"),
    "Approved?": {"Type": "Choice", "Choices": [paid], "Default": "Notify"},
    "Ship": shop.task("ship", Next="Notify"),
    "Notify": shop.task("notify", End=True),
}

# %% [markdown]
# `shop.task` only spares you some JSON. This is what Step Functions gets for `Ship`:

# %%
print(json.dumps(states["Ship"], indent=2))

# %% [markdown]
# **Predict**: where in these four states is it written that a declined order isn't
# shipped? And where in the deployed system?
#
# <details><summary>Answer</summary>
#
# Here in one place, the Choice `Approved?`. In the deployed system nowhere as such:
# Fulfillment's rule matches `PaymentCompletedEvent`, and a declined order never has
# one.
#
# </details>

# %%
step_functions = boto3.client("stepfunctions")
created = step_functions.create_state_machine(
    name=f"{shop.name}-orders",
    roleArn=shop.workflow_role,
    definition=json.dumps({"StartAt": "Take payment", "States": states}),
)
machine = created["stateMachineArn"]

# %% [markdown]
# ## Start one
#
# An execution gets a name and an input. Its name is the order's id, for a reason that
# you'll see soon.

# %%
order = shop.order()
execution = step_functions.start_execution(
    stateMachineArn=machine, name=order["orderId"], input=json.dumps(order)
)
done = shop.follow(execution["executionArn"])
tour.values(status=done.status, **shop.effects(order["orderId"]))

# %%
tour.expect("the order was shipped", shop.effects(order["orderId"])["shipped"])
tour.expect(
    "the states came one after the other",
    evidence.path(done.events) == ["Take payment", "Approved?", "Ship", "Notify"],
)

# %% [markdown]
# ## The evidence, side by side
#
# Order the same mug from the deployed system. Its trace comes from the audit log: a
# consumer of its own that you had to build, and ids that each event has to carry.

# %%
mug = customer.post("/orders", wish)
stored, rows = tour.follow(mug["orderId"])
tour.tree(rows, stored)

# %% [markdown]
# Step Functions writes a *history* of each execution, without any code of yours.
# Drawn in the same way, it's a chain: each state is there because the one before it
# ended.

# %%
tour.tree(evidence.as_rows(done.events))

# %% [markdown]
# The history has more than the tree shows: each attempt, with its result. You'll need
# that for the faults. `evidence.history` makes a table of what
# [GetExecutionHistory](https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html)
# returns:

# %%
tour.table(evidence.history(done.events))

# %% [markdown]
# ## Fault 1: the order is started twice
#
# A client that gets no response sends its order again. **Predict** what Step
# Functions says to a second execution of the same name.
#
# <details><summary>Answer</summary>
#
# `ExecutionAlreadyExists`: a name is good for one execution in 90 days. So the name
# is an idempotency key for the whole order, and you get it for nothing. (On AWS a
# second start with the same input, *while the first one runs*, isn't even an error:
# it returns the first one.)
#
# </details>

# %%
again = {
    "stateMachineArn": machine,
    "name": order["orderId"],
    "input": json.dumps(order),
}
try:
    step_functions.start_execution(**again)
    refused = False
except step_functions.exceptions.ExecutionAlreadyExists:
    refused = True
tour.expect("the second start is refused", refused)
tour.expect("one charge", shop.effects(order["orderId"])["charges"] == 1)

# %% [markdown]
# ## Fault 2: a declined card
#
# The Choice sends it past `Ship`:

# %%
declined = shop.run(machine, shop.order("tok_declined"))
tour.table(evidence.history(declined.events))

# %%
effects = shop.effects(declined.order_id)
tour.expect("nothing was charged", effects["charged"] == 0)
tour.expect("nothing was shipped", not effects["shipped"])
tour.expect("the customer got a mail", effects["mails"] == 1)

# %% [markdown]
# ## Fault 3: the gateway is down
#
# In the deployed system an exception was enough: Lambda retries an asynchronous
# invocation twice. Step Functions calls Lambda *synchronously*, and Lambda doesn't
# retry that. So the state machine has to:
# [`Retry`](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html)
# says which errors, how often, and how long to wait.

# %%
retry = {
    "ErrorEquals": ["States.TaskFailed"],
    "IntervalSeconds": 1,
    "MaxAttempts": 2,
    "BackoffRate": 2,
}
states["Take payment"]["Retry"] = [retry]
patient = shop.machine("patient", states)

# %% [markdown]
# Both sides get an outage at the same moment. The provider of your state machine
# fails two calls; the deployed gateway is down until PaymentProcessing has failed
# once.

# %%
order = shop.order(faults=["down", "down"])
with tour.gateway_down():
    mug = customer.post("/orders", wish)
    execution = shop.start(patient, order)
    tour.wait_until(
        lambda: shop.failures("paymentProcessing", mug["orderId"]),
        "the first failure of PaymentProcessing",
    )
stored, rows = tour.follow(mug["orderId"], seconds=300)
done = shop.follow(execution)

# %%
lanes = {
    "choreographed: failed": shop.failures("paymentProcessing", mug["orderId"]),
    "choreographed: paid": [stored["payment"]["occurredAt"]],
    "orchestrated: attempts": evidence.attempts(done.events, "Take payment"),
    "orchestrated: ended": [done.events[-1]["timestamp"].isoformat()],
}
tour.timeline(lanes, "The same outage on both sides")

# %%
tour.table(evidence.history(done.events))

# %%
effects = shop.effects(done.order_id)
tour.expect("both were shipped", effects["shipped"] and stored["fulfillment"])
tour.expect("one charge here", effects["charges"] == 1)
tour.expect("one charge there", tour.ledger(mug["orderId"])["charges"] == 1)

# %% [markdown]
# The pauses look alike, but you can't choose Lambda's: one minute and two minutes on
# AWS (here seconds). `Retry` is yours, state by state: that's a point for the state
# machine.
#
# What if the outage is longer? The event of the deployed system goes to the
# **dead-letter queue** and waits for a redrive. The execution is `FAILED`; on AWS,
# [RedriveExecution](https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html)
# lets it go on from the state that failed. The embedded AWS doesn't have that call.
#
# ## Fault 4: the response is lost
#
# Now the gateway charges the card, and its response doesn't arrive. `Retry` calls it
# again. **Predict**: how often is the card charged?
#
# <details><summary>Answer</summary>
#
# Once. The history has two attempts, the ledger has one charge: both attempts have
# the same idempotency key, the order's id.
#
# </details>

# %%
lost = shop.run(patient, shop.order(faults=["no response"]))
effects = shop.effects(lost.order_id)
attempts = evidence.attempts(lost.events, "Take payment")
tour.expect("two attempts", len(attempts) == 2)
tour.expect("one charge", effects["charges"] == 1)

# %% [markdown]
# ## Break it
#
# AWS says that a Standard workflow runs each step
# [exactly once](https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html),
# *unless you have specified `Retry`*. And who can do without it? Take the key away:
# from now on each attempt has a key of its own, the order's id with the number of the
# attempt. **Predict** the number of charges.
#
# <details><summary>Answer</summary>
#
# Two. The conductor knows that it has called twice. It can't know what a call did
# whose response was lost. **Orchestration doesn't spare you the idempotency key.**
#
# </details>

# %%
key_per_attempt = {
    "order.$": "$",
    "key.$": "States.Format('{}-{}', $.orderId, $$.State.RetryCount)",
}
broken = shop.task("take_payment", key_per_attempt, Next="Approved?", Retry=[retry])
careless = shop.machine("careless", {**states, "Take payment": broken})
lost = shop.run(careless, shop.order(faults=["no response"]))
effects = shop.effects(lost.order_id)
tour.values(status=lost.status, **effects)

# %%
tour.expect("the execution looks fine", lost.status == "SUCCEEDED")
tour.expect("the customer has paid twice", effects["charges"] == 2)

# %% [markdown]
# ## Fault 5: the customer cancels
#
# There is a `stop_execution`. Is that a cancellation? Start an order whose responses
# are lost, and stop it as soon as the card is charged. **Predict** what the customer
# has paid.
#
# <details><summary>Answer</summary>
#
# The full amount. The execution stops where it is: no state follows, and nothing is
# compensated.
#
# </details>

# %%
order = shop.order(faults=["no response"] * 3)
execution = shop.start(patient, order)
tour.wait_until(lambda: shop.effects(order["orderId"])["charges"], "the charge")
step_functions.stop_execution(executionArn=execution)
stopped = shop.follow(execution)
tour.values(status=stopped.status, **shop.effects(order["orderId"]))

# %%
effects = shop.effects(order["orderId"])
tour.expect("the execution was aborted", stopped.status == "ABORTED")
tour.expect("the money is gone, and no parcel sent", effects["charged"] > 0)

# %% [markdown]
# So it takes what the deployed system has as well: a conditional write that decides
# who was first, shipping or cancelling, and a step that gives the money back. You saw
# the write in `steps.ship`.
# [`Catch`](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html)
# leads to the compensation when `ship` finds the cancellation:

# %%
compensate = {
    "ErrorEquals": ["States.ALL"],
    "ResultPath": "$.failure",
    "Next": "Refund",
}
states["Ship"]["Catch"] = [compensate]
states["Refund"] = shop.task("refund", Next="Notify")
saga = shop.machine("saga", states)

# %%
order = shop.order(faults=["down"])
execution = shop.start(saga, order)
cancelled = shop.cancel(order["orderId"])
done = shop.follow(execution)
tour.table(evidence.history(done.events))

# %%
effects = shop.effects(order["orderId"])
tour.expect("the cancellation came first", cancelled)
tour.expect("all was refunded", effects["charged"] == effects["refunded"] > 0)
tour.expect("nothing was shipped", not effects["shipped"])

# %% [markdown]
# ## One more step
#
# Marketing wants loyalty points. In the deployed system you add a function and a
# rule, and change nothing else: that was [notebook 13](13_your_own_service.ipynb).
# Here you add a function and change the definition that everybody shares:

# %%
points = """
def award_points(order, context):
    return {**order, "points": order["totalAmount"] // 100}
"""
shop.function("award_points", points)
longer = {
    **states,
    "Ship": {**states["Ship"], "Next": "Award points"},
    "Award points": shop.task("award_points", Next="Notify"),
}
with_points = shop.machine("with-points", longer)
done = shop.run(with_points, shop.order())
tour.values(path=evidence.path(done.events), points=done.output["points"])

# %% [markdown]
# Now every order *waits* for marketing. If `award_points` fails, so does the
# execution, before the customer is notified, unless you catch that as well. The
# loyalty service of notebook 13 can be down for a day, and no order is late. And
# orders that are under way? With `update_state_machine` a running execution keeps the
# definition that it began with.

# %%
tour.expect(
    "the new state is in the middle", "Award points" in evidence.path(done.events)
)

# %% [markdown]
# ## A person has to agree
#
# Here is what events find hard. Some orders need somebody's consent, within an hour,
# say (here: five seconds), before anything is charged. A task that ends in
# `.waitForTaskToken` invokes its function with a *token*, and then
# [waits](https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html)
# until somebody sends that token back. `TimeoutSeconds` is the deadline; it can be as
# far away as a year.

# %%
too_late = {
    "ErrorEquals": ["States.Timeout"],
    "ResultPath": "$.failure",
    "Next": "Notify",
}
question = shop.question(
    "ask",
    TimeoutSeconds=5,
    ResultPath="$.consent",
    Next="Take payment",
    Catch=[too_late],
)
careful = shop.machine("careful", {**states, "Ask": question}, start_at="Ask")

# %% [markdown]
# Two orders wait for you. You agree to the first one and forget the second.

# %%
agreed, forgotten = shop.order(), shop.order()
executions = [shop.start(careful, each) for each in (agreed, forgotten)]
token = tour.wait_until(lambda: shop.token(agreed["orderId"]), "the question")
step_functions.send_task_success(taskToken=token, output=json.dumps({"by": "you"}))
first, second = [shop.follow(each) for each in executions]
tour.table(
    [
        {"order": "agreed", "path": evidence.path(first.events)},
        {"order": "forgotten", "path": evidence.path(second.events)},
    ]
)

# %%
tour.expect("the first was shipped", shop.effects(first.order_id)["shipped"])
effects = shop.effects(second.order_id)
tour.expect("the second was not charged", effects["charged"] == 0)
tour.expect("its customer knows", effects["mails"] == 1)

# %% [markdown]
# With events, nothing happens when nobody agrees: no event says that time has passed.
# Somebody has to look, as the Reconciler of the deployed system does every minute.
#
# ## Side by side: time
#
# Three orders on each side, measured now, with warm functions. The two don't do the
# same work: the deployed system has an API, an audit log and a real e-mail. So look
# at the order of magnitude.

# %%
from statistics import median

notified = [tour.follow(customer.post("/orders", wish)["orderId"])[0] for _ in range(3)]
there = median(evidence.milliseconds_of_an_order(each) for each in notified)
runs = [shop.run(machine, shop.order()) for _ in range(3)]
here = median(evidence.milliseconds(run.events) for run in runs)
tour.values(choreographed=f"{there / here:.1f} times as long as orchestrated")

# %% [markdown]
# The state machine has the shorter path on this machine: it calls Lambda directly,
# and nothing waits in a queue. Neither figure says anything about AWS.
#
# ## Side by side: price
#
# What carries an order from one step to the next? Events, a topic and a queue in the
# one case. In the other, state transitions, retries included: that's what a
# *Standard* workflow bills. **Predict** which is cheaper.
#
# <details><summary>Answer</summary>
#
# Events, by far: four transitions cost about twenty times as much. An *Express*
# workflow bills requests and duration and is cheaper still. But it runs for five
# minutes at most, may run twice, can't wait for a callback, and its history is in
# CloudWatch Logs or nowhere:
# [Standard or Express](https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html).
#
# </details>

# %%
from notebooks.orchestration import costs

transitions = evidence.transitions(runs[0].events)
price = {
    "choreographed": costs.choreographed(),
    "Standard workflow": costs.standard(transitions),
    "Express workflow": costs.express(here),
}
tour.table(
    [{"": name, "USD per million orders": f"{usd:.2f}"} for name, usd in price.items()]
)

# %%
tour.expect("an order takes four transitions", transitions == 4)
tour.expect(
    "events cost less than a tenth of a Standard workflow",
    price["choreographed"] < price["Standard workflow"] / 10,
)

# %% [markdown]
# That's the coordination alone, at list prices of us-east-1; Lambda and DynamoDB come
# on top on both sides. [costs.md](../docs/costs.md) has the whole bill, and says
# which prices were taken from AWS's pages and which from memory.
#
# ## Side by side: the rest
#
# Six of the choreographed order's invocations have no counterpart here: one for the
# API, three for the audit log, two for the status that the customer sees. A real shop
# would need the API and the status with a state machine as well.

# %%
events = boto3.client("events")
pages = events.get_paginator("list_rules").paginate(
    EventBusName=stack.outputs["EventBusName"]
)
rules = [rule for page in pages for rule in page["Rules"] if "ManagedBy" not in rule]
lines = json.dumps({"StartAt": "Take payment", "States": states}, indent=2)
tour.table(
    [
        {
            "": "what connects the steps",
            "choreographed": f"{len(rules)} rules",
            "orchestrated": f"{len(lines.splitlines())} lines of JSON",
        },
        {
            "": "invocations of Lambda",
            "choreographed": costs.invocations(),
            "orchestrated": evidence.invocations(runs[0].events),
        },
    ]
)

# %% [markdown]
# | | choreographed | orchestrated |
# |---|---|---|
# | who knows the whole | nobody: you draw it from the rules | the definition |
# | where the state is | in the order's item | in the execution |
# | the trace | an audit log that you build | the history, kept for 90 days |
# | another step | a function and a rule | a function and a state |
# | if that step fails | the others go on | the order stops |
# | a failure | two retries, dead-letter queue | `Retry` and `Catch` |
# | after an outage | redrive the dead letter | redrive the execution |
# | a duplicate | a condition at each consumer | the execution's name |
# | a lost response | an idempotency key | an idempotency key |
# | cancelling | a condition and an event | a condition and a `Catch` |
# | how much data | 1 MB in an event | 256 KiB from state to state |
# | whose it is | each team owns its consumers | one team owns the definition |
#
# How much fits between two states, and how long a history may get, is among AWS's
# [quotas](https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
#
# ## When events are the wrong choice
#
# Honestly: for *this* order a state machine would do as well, and some would prefer
# it. Take the orchestration when
#
# - **the order of the steps is the business**: first the credit check, then the
#   contract, then the payout, and an auditor wants to see it on one page;
# - **the whole has a deadline**: "refund if it isn't shipped within two days" is
#   `TimeoutSeconds` and a `Catch`, on a task that runs the steps as
#   [a state machine of their own](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-nested-workflows.html).
#   (The `TimeoutSeconds` of a whole state machine only ends it.) With events somebody
#   has to look for what did *not* happen;
# - **a person has to agree**: a task can
#   [wait for a callback](https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html),
#   for up to a year;
# - **a failure needs several compensations** in a certain order;
# - **one team owns all the steps**, so that nobody gains from not knowing the others.
#
# Take events when consumers come and go, when they belong to other teams, when a slow
# one must not hold up the others, and when there are millions of them. Many systems
# do both: a state machine inside a service,
# [events between services](https://docs.aws.amazon.com/prescriptive-guidance/latest/modernization-integrating-microservices/welcome.html).
#
# ## Lab 14.1
#
# Make `Take payment` safe. Your states get five orders: one without a fault, one with
# a declined card, one whose gateway fails two calls, one whose gateway *stays* down,
# and one whose card is charged while each response is lost. In the end
#
# - nobody has paid without getting a parcel,
# - an outage of two calls isn't noticed by the customer,
# - each customer has exactly one mail, and no execution is `FAILED`.
#
# Write `Retry` and `Catch` for the task below. The other states are those from above.
#
# *Hint:* where does `Catch` have to lead if nobody knows whether the card was
# charged?

# %% tags=["exercise"]
safe = shop.task("take_payment", key, Next="Approved?")

tour.check("14.1", shop, {**states, "Take payment": safe})

# %% [markdown]
# <details><summary>Solution</summary>
#
# To `Refund`, not to `Notify`: a lost response doesn't mean that no money moved. The
# provider refunds what was charged under the key, and voids the key where nothing
# was. (Here a refund always gets through. A real one needs a `Retry` of its own, and
# somebody who looks when that fails: a compensation has to succeed in the end.)
#
# ```python
# safe = shop.task(
#     "take_payment", key, Next="Approved?", Retry=[retry], Catch=[compensate]
# )
# tour.check("14.1", shop, {**states, "Take payment": safe})
# ```
#
# </details>

# %% [markdown]
# ## Clean up
#
# State machines with their executions, functions with their logs, roles, the table:

# %%
shop.close()
tour.expect("nothing is left", shop.leftovers() == [])

# %% [markdown]
# ## On AWS
#
# The same calls, with these differences, which [emulator.md](../docs/emulator.md)
# lists with their tests: the embedded AWS calls every function, whether or not the
# state machine's role may; starting the same execution twice while it runs is
# refused; a `TimeoutSeconds` of the whole state machine is ignored; and an error's
# name is always `Runtime.HandlerError`, while on AWS it's the exception's, such as
# `GatewayUnavailable`, which `Retry` and `Catch` can tell apart. `States.TaskFailed`,
# as above, includes them all, and
# [Lambda's own transient errors](https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html)
# as well.
#
# ## Recap
#
# - A state machine knows the whole order and calls one step after the other; a
#   choreography has nobody who does.
# - `Retry`, `Catch` and the execution's name replace Lambda's retries, the
#   dead-letter queue and the deduplication of the start. They replace neither the
#   idempotency key nor the conditional write: a response can be lost on both sides.
# - `stop_execution` isn't a cancellation. Compensation is a state that you write.
# - Events cost less and let others join; a state machine shows the whole and can
#   wait.
#
# **Next:** [15 · Load, latency, cost](15_load_latency_cost.ipynb)
