# %% [markdown]
# # 13 · Your own service
#
# ![The system, with the bus highlighted: it takes one more consumer](../docs/pictures/13_your_own_service.svg)
#
# The shop wants loyalty points: a point for each euro, awarded once for each paid
# order. In this notebook you write that service in about fifteen lines, and deploy it
# next to the running system without touching the system. Afterwards you can give a
# consumer a table of its own, a role with least privilege, a rule, an on-failure
# destination and an alarm.
#
# ## The idea: a consumer costs its producers nothing
#
# If services called each other, OrderService would have to call Loyalty: one more
# address, one more timeout, one more deploy, and an order that fails when Loyalty is
# down. Here `PaymentCompletedEvent` is on the bus anyway. A new consumer only needs a
# rule that matches the event. The publisher doesn't know the consumer, doesn't wait for
# it, and doesn't fail with it.
#
# A consumer of your own has five parts:
#
# | part | purpose |
# |---|---|
# | a function | runs your code |
# | a table | stores your data; nobody else writes to it, and you write to no other table |
# | a role | allows what the function needs, and nothing else |
# | a rule | says which events reach the function |
# | an on-failure destination | keeps an event after its last failed attempt |

# %%
import json

import boto3
import tour
from notebooks import own, own_service

stack = tour.connect()
customer = tour.customer()
functions, iam, events = (boto3.client(each) for each in ("lambda", "iam", "events"))
dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")

# %% [markdown]
# Everything that you create here gets the same name, from `tour.new_name()`, and is
# removed when the notebook ends. First you remove anything that an interrupted run has
# left:

# %%
tour.remove_mine()
name = tour.new_name()


def last_changes():
    """When each function of the system was last changed."""
    listed = functions.get_paginator("list_functions").paginate()
    every = [each for page in listed for each in page["Functions"]]
    return {
        each["FunctionName"]: each["LastModified"]
        for each in every
        if each["FunctionName"] != name
    }


system = last_changes()

# %% [markdown]
# ## The function
#
# You use two things from the system's code: the event's class, and the decorator
# `consumer`, which decodes the event. If the class refuses an event, your function
# fails, and after two retries the event becomes a dead letter.

# %%
CODE = '''"""Loyalty: PaymentCompletedEvent ─▶ a point for each whole euro"""

import os

import boto3

from handlers.edge import consumer
from orders.events import PaymentCompletedEvent

dynamodb = boto3.client("dynamodb")


@consumer
def handler(paid: PaymentCompletedEvent) -> None:
    dynamodb.update_item(
        TableName=os.environ["POINTS_TABLE"],
        Key={"orderId": {"S": paid.order_id}},
        UpdateExpression="ADD points :earned",
        ExpressionAttributeValues={
            ":earned": {"N": str(paid.data.total_amount // 100)}
        },
    )
'''

# %% [markdown]
# ## Its table
#
# The table has one item for each order, with the points that the order earned:

# %%
dynamodb.create_table(
    TableName=name,
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
)
dynamodb.get_waiter("table_exists").wait(TableName=name)
table = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]

# %% [markdown]
# ## Its role
#
# A role says what the function may do. [Least
# privilege](https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html) means
# here: one action on one table, its own log, and one queue for failed events.
#
# **Predict**: which right does it need to get events from the bus?
#
# <details><summary>Answer</summary>
#
# None. EventBridge invokes the function, so EventBridge needs the right to do so. You
# grant it below, with `add_permission`. The role covers only the calls that the
# function itself makes.
#
# </details>

# %%
log_group = f"/aws/lambda/{name}"
boto3.client("logs").create_log_group(logGroupName=log_group)
queue = sqs.get_queue_attributes(
    QueueUrl=stack.outputs["DeadLetterQueueUrl"], AttributeNames=["QueueArn"]
)["Attributes"]["QueueArn"]
log = table.replace(":dynamodb:", ":logs:")
log = log.replace(f"table/{name}", f"log-group:{log_group}:*")
rights = {
    "dynamodb:UpdateItem": table,
    "logs:CreateLogStream": log,
    "logs:PutLogEvents": log,
    "sqs:SendMessage": queue,
}
policy = [
    {"Effect": "Allow", "Action": action, "Resource": resource}
    for action, resource in rights.items()
]
tour.table(policy)

# %%
lambda_may = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def document(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document([lambda_may]))
iam.put_role_policy(
    RoleName=name, PolicyName="loyalty", PolicyDocument=document(policy)
)
tour.values(role=role["Role"]["RoleName"], policies=["loyalty"])

# %% [markdown]
# ## Deploy it
#
# The package is a copy of the one that the system's functions use, with your file
# added. So your code finds `boto3` and the events' classes, here and on AWS. On AWS it
# takes a few seconds before Lambda can assume a new role. Until then `create_function`
# fails, so you try again until it succeeds:

# %%
package = own_service.package(stack, CODE)
like = functions.get_function_configuration(FunctionName=stack.function("fulfillment"))


def created():
    try:
        return functions.create_function(
            FunctionName=name,
            Handler="loyalty.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": package},
            Environment={"Variables": {"POINTS_TABLE": name}},
            **{each: like[each] for each in ("Runtime", "Architectures", "MemorySize")},
        )
    except functions.exceptions.InvalidParameterValueException as error:
        if "assume" not in str(error):
            raise


function = tour.wait_until(created, "the function")["FunctionArn"]
functions.get_waiter("function_active_v2").wait(FunctionName=name)

# %% [markdown]
# After two retries, a failed event goes to the system's dead-letter queue, like the
# failed events of any other function. The queue is your function's [on-failure
# destination](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html):

# %%
failures = functions.put_function_event_invoke_config(
    FunctionName=name,
    MaximumRetryAttempts=2,
    DestinationConfig={"OnFailure": {"Destination": queue}},
)
tour.values(on_failure=failures["DestinationConfig"]["OnFailure"]["Destination"])

# %% [markdown]
# ## Put it on the bus
#
# The rule matches one type of event, from one source. The permission lets EventBridge
# invoke the function for this rule only. (The system's rules have a dead-letter queue
# as well, for events that EventBridge can't deliver at all. Your rule would need a
# queue of its own for that, because the policy of the system's queue names the rules
# that may send to it.)

# %%
bus = stack.outputs["EventBusName"]
pattern = {
    "source": ["order-processing.payment"],
    "detail-type": ["PaymentCompletedEvent"],
}
rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
functions.add_permission(
    FunctionName=name,
    StatementId="bus",
    Action="lambda:InvokeFunction",
    Principal="events.amazonaws.com",
    SourceArn=rule["RuleArn"],
)
target = {"Id": "loyalty", "Arn": function}
put = events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
tour.expect("EventBridge accepted the target", put["FailedEntryCount"] == 0)

# %% [markdown]
# Order three kettles, and wait for the points. (On AWS it takes a little while before a
# new rule delivers events. If no points arrive, run the cell again.)


# %%
def points_of(order_id):
    key = {"orderId": {"S": order_id}}
    found = dynamodb.get_item(TableName=name, Key=key, ConsistentRead=True)
    return int(found["Item"]["points"]["N"]) if "Item" in found else None


wish = {"items": [{"sku": "KETTLE", "quantity": 3}], "paymentMethod": "tok_visa"}
order, rows = tour.follow(customer.post("/orders", wish)["orderId"])
order_id = order["orderId"]
points = tour.wait_until(lambda: points_of(order_id), "the points")
tour.tree(rows, order)

# %%
tour.values(total=order["totalAmount"], points=points)

# %%
tour.expect("148.50 EUR earn 148 points", points == 148)
tour.expect("no function of the system was touched", last_changes() == system)

# %% [markdown]
# ## Break it: the same event again
#
# **Predict**: the bus delivers `PaymentCompletedEvent` a second time. How many points
# does the order have then?
#
# <details><summary>Answer</summary>
#
# It has 296. `ADD` adds on every delivery, and delivery is *at least once*. The
# system's own functions get the same event twice as well, and nothing changes. Yours is
# the only one that isn't idempotent yet.
#
# </details>

# %%
[paid] = [row for row in rows if row["eventType"] == "PaymentCompletedEvent"]
tour.publish(paid)
tour.wait_until(lambda: points_of(order_id) != points, "the second delivery")
tour.values(points=points_of(order_id))

# %%
tour.expect("the points were counted twice", points_of(order_id) == 2 * points)

# %% [markdown]
# ## Lab 13.1: once for each order
#
# Change the code so that an order earns its points once, however often its event
# arrives. The check deploys your code to your function and places orders. It delivers
# each order's event twice more, and then a forged one for the same order (another
# `eventId`, a huge amount). After each delivery it looks at your table. Finally it
# delivers an event that no model accepts; your function should fail, so that the event
# is kept.
#
# <details><summary>Hint</summary>
#
# Let the update expression decide, not an `if` in Python: another delivery could arrive
# between a read and a write. Notebook 5 shows the function that you need,
# `if_not_exists`.
#
# </details>

# %% tags=["exercise"]
my_code = CODE  # change it

tour.check("13.1", name, my_code)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# once = "SET points = if_not_exists(points, :earned)"
# my_code = CODE.replace("ADD points :earned", once)
#
# tour.check("13.1", name, my_code)
# ```
#
# The table's key is the order's id, not the event's. So once an order has its points, a
# forged event changes nothing either. A forged event for any other order would still
# earn points. The bus guards against that: only PaymentProcessing's role may publish
# `PaymentCompletedEvent`. The system's own functions also compare each event with the
# stored order. Your function deliberately has no access to that table.
#
# </details>

# %% [markdown]
# ## When it fails
#
# You invoke the function as the bus does, asynchronously, with an event that it can't
# read, because the amount is text.
#
# **Predict**: how often is the function invoked, and where does the event end up?
#
# <details><summary>Answer</summary>
#
# It's invoked three times. Then the event is in the system's dead-letter queue, with
# your function as the consumer that failed. `npm run dlq` lists it, and a redrive would
# deliver it to your function only.
#
# </details>

# %%
broken = tour.envelope_of(paid)
broken["detail"]["data"]["totalAmount"] = "148.50"
functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(broken))
dead_letter = tour.dead_letter_of(order_id, seconds=400)
tour.values(consumer=dead_letter.consumer, reason=dead_letter.reason)

# %%
tour.expect("the dead letter names your function", dead_letter.consumer == name)

# %% [markdown]
# ## Lab 13.2: an alarm
#
# A dead letter that nobody looks at helps nobody. Lambda counts the failed invocations
# of each function in the
# [metric](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html)
# `Errors`. Create an
# [alarm](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-concepts.html)
# on it that notifies this topic as soon as one invocation of your function fails:

# %%
topic = boto3.client("sns").create_topic(Name=name)["TopicArn"]
cloudwatch = boto3.client("cloudwatch")

# %% [markdown]
# The check subscribes a queue to the topic of your alarm, makes your function fail, and
# waits for the notification. On AWS that takes a few minutes. The embedded AWS differs
# in two points. It evaluates an alarm only when the alarm or a metric is written, so
# the check writes your alarm once more. And it ignores the dimension and counts the
# errors of all functions, so the check reads the dimension from your alarm instead.
#
# <details><summary>Hint</summary>
#
# `cloudwatch.put_metric_alarm(...)`. The namespace is `AWS/Lambda`, the dimension is
# `FunctionName`. Let the alarm's name begin with `name`, so that the clean-up finds it.
# `tools/alarms.js`, which you see a few cells below, creates such alarms for the
# system's own functions.
#
# </details>

# %% tags=["exercise"]
alarm = None  # the name of your alarm

tour.check("13.2", name, alarm)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# alarm = f"{name}-errors"
# cloudwatch.put_metric_alarm(
#     AlarmName=alarm,
#     Namespace="AWS/Lambda",
#     MetricName="Errors",
#     Dimensions=[{"Name": "FunctionName", "Value": name}],
#     Statistic="Sum",
#     Period=60,
#     EvaluationPeriods=1,
#     Threshold=1,
#     ComparisonOperator="GreaterThanOrEqualToThreshold",
#     TreatMissingData="notBreaching",
#     AlarmActions=[topic],
# )
#
# tour.check("13.2", name, alarm)
# ```
#
# </details>

# %% [markdown]
# ## Part of the product
#
# Your service is deployed by a notebook. As part of the product it would need two new
# files, the handler and its test, and these additions to `serverless.yml` and
# `resources/roles.yml`:

# %%
FUNCTION = """
  loyalty:
    handler: handlers/loyalty.handler
    role: LoyaltyRole
    events:
      - eventBridge:
          eventBus: !Ref EventBus
          pattern:
            source: [order-processing.payment]
            detail-type: [PaymentCompletedEvent]
          <<: *delivery
    <<: *onFailure
"""

# %%
ROLE = """
  LoyaltyRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: *lambda
      Policies:
        - PolicyName: loyalty
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt LoyaltyLogGroup.Arn
              - *keepFailedEvents
"""

# %% [markdown]
# **Predict**: which other files would you have to change so that the picture in the
# documents shows Loyalty and an alarm watches it?
#
# <details><summary>Answer</summary>
#
# None. No other file lists the functions. Pictures, alarms, the simulator and the fault
# injection read `serverless.yml`.
#
# </details>
#
# You try it by inserting the two texts in memory; no file changes:

# %%
from notebooks.build import architecture
from notebooks.build.focus import Focus
from tools import flow, topology

new_consumer = Focus("Loyalty, a new consumer", frozenset({"bus", "loyalty"}))
with own_service.product_with(FUNCTION, ROLE):
    own_service.show(architecture.architecture(new_consumer))
    consumers = flow.consumers()["PaymentCompletedEvent"]
    listed = topology.functions()

# %%
tour.values(consumers_of_PaymentCompletedEvent=consumers)
tour.expect("the flow of events includes Loyalty", "loyalty" in consumers)
tour.expect("so does the list of functions", "loyalty" in listed)
tour.expect("no file has changed", "loyalty" not in topology.functions())

# %% [markdown]
# What else reads the list of functions? The code that adds the alarms to the template:

# %%
tour.excerpt("tools/alarms.js", "exports.functionErrors", "function alarm")

# %% [markdown]
# So do the simulator (`npm run simulate`), which delivers events to every function that
# has a rule, and the chaos test (`npm run chaos`), which sends each function's calls
# through a proxy that injects faults. `tests/tools/test_a_new_consumer.py` does with
# real files what you did in memory, and runs the simulator with Loyalty.
#
# ## Put it back
#
# You remove everything that you created, and then a search for it finds nothing:

# %%
made = own.remains(stack)
tour.remove_mine()
tour.table({"removed": each} for each in made)

# %%
tour.expect("nothing is left", own.remains(stack) == [])
tour.expect("the system is as it was", last_changes() == system)

# %% [markdown]
# ## Recap
#
# - A new consumer is a function, a table, a role, a rule and an on-failure destination.
#   The publisher isn't touched.
# - The bus delivers at least once, so your write has to make the effect happen once:
#   use the order's id as the key, and let the first write win.
# - The policy for least privilege is short when a function does one thing.
# - Declare a function once: every tool that reads the declaration finds the new
#   function by itself.
#
# **Next:** [14 · The same order, orchestrated](14_orchestrated.ipynb)
