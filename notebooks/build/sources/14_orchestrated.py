# %% [markdown]
# # 14 · The same order, orchestrated
#
# ![The system, with the steps that an orchestrator would call highlighted](../docs/pictures/14_orchestrated.svg)
#
# Until now, no function knew the whole process: each consumed an event and published
# the next. In this notebook a *state machine* knows the whole process and calls one
# step after the other. You run it on AWS Step Functions, inject the faults that you
# know from earlier notebooks, compare its evidence with the audit log's, and decide
# when events are the wrong choice.
#
# ## Two ways to coordinate
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
# You need a function for each step: take the payment, ship, refund and notify. A fifth
# function, for later, asks a person. `Workshop` creates them for you, with a table and
# two roles, so that nothing here touches the deployed system. (All of it is removed at
# the end of this notebook, or earlier if you shut its kernel down.)

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
# The payment provider is simulated, as in the deployed system: it keeps a ledger with a
# row for each idempotency key. `event["key"]` comes from the state machine.

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
# `shop.task` only saves you some JSON. This is what Step Functions gets for `Ship`:

# %%
print(json.dumps(states["Ship"], indent=2))

# %% [markdown]
# **Predict**: where in these four states is it written that a declined order isn't
# shipped? And where in the deployed system?
#
# <details><summary>Answer</summary>
#
# Here it's written in one place, the Choice `Approved?`. In the deployed system it
# isn't written anywhere: it follows from Fulfillment's rule, which matches
# `PaymentCompletedEvent`, an event that a declined order never has.
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
# An execution gets a name and an input. Its name is the order's id; you'll see the
# reason under fault 1.

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
    "the states followed one another",
    evidence.path(done.events) == ["Take payment", "Approved?", "Ship", "Notify"],
)

# %% [markdown]
# ## The evidence, side by side
#
# Order the same mug from the deployed system. Its trace comes from the audit log. For
# that, the system needs AuditLogger, and each event has to carry its ids.

# %%
mug = customer.post("/orders", wish)
stored, rows = tour.follow(mug["orderId"])
tour.tree(rows, stored)

# %% [markdown]
# Step Functions writes a *history* of each execution, without any code of yours. Drawn
# in the same way, it's a chain: each state was entered because the one before it ended.

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
# A client that gets no response sends its order again. **Predict** how Step Functions
# responds to a second execution with the same name.
#
# <details><summary>Answer</summary>
#
# With `ExecutionAlreadyExists`: a name can be used for only one execution in 90 days.
# So the name is an idempotency key for the whole order, without any code of yours. (On
# AWS a second start with the same input, *while the first execution runs*, isn't even
# an error: it returns the first execution.)
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
# The Choice skips `Ship`:

# %%
declined = shop.run(machine, shop.order("tok_declined"))
tour.table(evidence.history(declined.events))

# %%
effects = shop.effects(declined.order_id)
tour.expect("nothing was charged", effects["charged"] == 0)
tour.expect("nothing was shipped", not effects["shipped"])
tour.expect("the customer got an e-mail", effects["mails"] == 1)

# %% [markdown]
# ## Fault 3: the gateway is down
#
# In the deployed system it was enough to raise an exception: Lambda retries an
# asynchronous invocation twice. Step Functions invokes Lambda *synchronously*, and
# Lambda doesn't retry a synchronous invocation. So the state machine has to do it:
# [`Retry`](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html)
# says which errors to retry, how often, and after which pause.

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
# The pauses look alike, but Lambda's are fixed: one minute and two minutes on AWS, and
# seconds here. You choose the pauses of `Retry` yourself, state by state. That's a
# point for the state machine.
#
# What if the outage lasts longer? In the deployed system, the event goes to the
# **dead-letter queue** and waits for a redrive. The state machine's execution is
# `FAILED`. On AWS,
# [RedriveExecution](https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html)
# lets it continue from the state that failed. The embedded AWS doesn't have that call.
#
# ## Fault 4: the response is lost
#
# Now the gateway charges the card, and its response doesn't arrive. `Retry` calls it
# again. **Predict**: how often is the card charged?
#
# <details><summary>Answer</summary>
#
# Once. The history has two attempts, but the ledger has one charge, because both
# attempts have the same idempotency key: the order's id.
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
# AWS says that a Standard workflow runs each step [exactly
# once](https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html),
# *unless you have specified `Retry`*. But you do need `Retry`. So break the idempotency
# key instead: from now on each attempt has a key of its own, the order's id with the
# number of the attempt. **Predict** the number of charges when one response is lost.
#
# <details><summary>Answer</summary>
#
# Two. The conductor knows that it has called twice. It can't know whether the call
# without a response charged the card. **Orchestration doesn't spare you the idempotency
# key.**
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
# Step Functions has a call `stop_execution`. Is that a cancellation? Start an order
# whose responses are lost, and stop its execution as soon as the card is charged.
# **Predict** what the customer has paid.
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
tour.expect("the customer has paid all the same", effects["charged"] > 0)

# %% [markdown]
# So a cancellation needs the same two things as in the deployed system: a conditional
# write that decides between shipping and cancelling, and a step that refunds the money.
# You saw the write in `steps.ship`.
# [`Catch`](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html)
# leads to the compensation when `ship` finds the order cancelled:

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
tour.expect("everything was refunded", effects["charged"] == effects["refunded"] > 0)
tour.expect("nothing was shipped", not effects["shipped"])

# %% [markdown]
# ## One more step
#
# Marketing wants loyalty points. In the deployed system you add a function and a rule,
# and change nothing else: that was [notebook 13](13_your_own_service.ipynb). Here you
# add a function and change the definition that all steps share:

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
# Now every order *waits* for marketing. If `award_points` fails, so does the execution,
# before the customer is notified, unless you catch that as well. The loyalty service of
# notebook 13 can be down for a day without delaying any order. What happens to orders
# that are under way when the definition changes? After `update_state_machine`, a
# running execution keeps the definition that it began with.

# %%
tour.expect(
    "the order went through the new state", "Award points" in evidence.path(done.events)
)

# %% [markdown]
# ## A person has to agree
#
# This is hard to do with events. Suppose that some orders need a person's consent
# before anything is charged, within an hour (here, within five seconds). A task whose
# resource ends in `.waitForTaskToken` invokes its function with a *token*, and then
# [waits](https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html)
# until somebody sends that token back. `TimeoutSeconds` is the deadline; it can be up
# to a year away.

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
# Two orders wait for your consent. You give it for the first one and forget the second.

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
tour.expect("its customer was notified", effects["mails"] == 1)

# %% [markdown]
# With events, nothing happens when nobody agrees: no event says that time has passed. A
# scheduled function has to look for overdue orders, as the Reconciler of the deployed
# system does every minute.
#
# ## Side by side: time
#
# You measure three orders on each side, with warm functions. The two sides don't do the
# same work: the deployed system has an API and an audit log, and sends its e-mails
# through SES. So look only at the order of magnitude.

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
# What carries an order from one step to the next? On one side, events, a topic and a
# queue do. On the other side, state transitions do, and AWS bills a *Standard* workflow
# by their number, including retries. **Predict** which side is cheaper.
#
# <details><summary>Answer</summary>
#
# Events, by far: four transitions cost about twenty times as much. An *Express*
# workflow is billed by requests and duration, and is cheaper still. But it runs for
# five minutes at most, may run more than once, can't wait for a callback, and its
# history is in CloudWatch Logs or nowhere: [Standard or
# Express](https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html).
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
# That's the coordination alone, at list prices of us-east-1. On both sides, Lambda and
# DynamoDB come on top. [costs.md](../docs/costs.md) has the whole bill, and says which
# prices were taken from AWS's pages and which from memory.
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
# | where the whole process is described | nowhere: you derive it from the rules | in the definition |
# | where the state is | in the order's item | in the execution |
# | the trace | an audit log that you build | the history, kept for 90 days |
# | a new step needs | a function and a rule | a function and a state |
# | if that step fails | the others go on | the order stops |
# | a failure leads to | two retries, then the dead-letter queue | `Retry` and `Catch` |
# | after an outage | redrive the dead letter | redrive the execution |
# | against a duplicate | a condition at each consumer | the execution's name |
# | against a lost response | an idempotency key | an idempotency key |
# | cancelling needs | a condition and an event | a condition and a `Catch` |
# | size limit | 1 MB for an event | 256 KiB from state to state |
# | ownership | each team owns its consumers | one team owns the definition |
#
# The size limit between two states, and the maximum length of a history, are among
# AWS's
# [quotas](https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
#
# ## When events are the wrong choice
#
# For *this* process a state machine would do as well, and some engineers would prefer
# it. Choose orchestration when
#
# - **the order of the steps is the business**: first the credit check, then the
#   contract, then the payout, and an auditor wants to see it on one page;
# - **the whole process has a deadline**: "refund if it isn't shipped within two days"
#   is `TimeoutSeconds` and a `Catch`, on a task that runs the steps as [a state machine
#   of their
#   own](https://docs.aws.amazon.com/step-functions/latest/dg/concepts-nested-workflows.html).
#   (The `TimeoutSeconds` of a whole state machine only ends it.) With events, a
#   scheduled function has to notice that something did *not* happen;
# - **a person has to agree**: a task can
#   [wait for a callback](https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html),
#   for up to a year;
# - **a failure needs several compensations** in a certain order;
# - **one team owns all the steps**, so that nobody gains from loose coupling.
#
# Choose events when consumers come and go, when they belong to other teams, when a slow
# one must not hold up the others, and when you have so many orders that the price
# matters. Many systems do both: a state machine inside a service, [events between
# services](https://docs.aws.amazon.com/prescriptive-guidance/latest/modernization-integrating-microservices/welcome.html).
#
# ## Lab 14.1: a safe payment
#
# Make `Take payment` safe. Your states get five orders: one without a fault, one with a
# declined card, one whose gateway fails two calls, one whose gateway *stays* down, and
# one whose card is charged while each response is lost. In the end,
#
# - nobody has paid without getting a parcel,
# - the customer doesn't notice an outage of two calls,
# - each customer has exactly one e-mail, and no execution is `FAILED`.
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
# `Catch` has to lead to `Refund`, not to `Notify`: a lost response doesn't mean that no
# money moved. The provider refunds the charge under the key if there was one, and
# otherwise voids the key. (Here a refund always succeeds. A real one needs a `Retry` of
# its own, and an alarm in case that fails, because a compensation has to succeed in the
# end.)
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
# You remove the state machines with their executions, the functions with their logs,
# the roles and the table:

# %%
shop.close()
tour.expect("nothing is left", shop.leftovers() == [])

# %% [markdown]
# ## On AWS
#
# The calls are the same on AWS. The embedded AWS differs in four points, which
# [emulator.md](../docs/emulator.md) lists with their tests:
#
# - It calls every function, even if the state machine's role doesn't allow that.
# - It refuses to start the same execution twice, even while the first one runs.
# - It ignores a `TimeoutSeconds` of the whole state machine.
# - The name of an error is always `Runtime.HandlerError`. On AWS it's the exception's
#   name, such as `GatewayUnavailable`, and `Retry` and `Catch` can treat each error
#   differently. `States.TaskFailed`, as above, includes all of them, and [Lambda's own
#   transient
#   errors](https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html)
#   as well.
#
# ## Recap
#
# - A state machine knows the whole process and calls one step after the other. In a
#   choreography, nothing does.
# - `Retry`, `Catch` and the execution's name replace Lambda's retries, the dead-letter
#   queue and the deduplication of repeated requests. They replace neither the
#   idempotency key nor the conditional write: a response can be lost on both sides.
# - `stop_execution` isn't a cancellation. Compensation is a state that you write.
# - Events cost less and let new consumers join. A state machine shows the whole process
#   and can wait for a person.
#
# **Next:** [15 · Load, latency, cost](15_load_latency_cost.ipynb)
