'use strict';

// The functions whose events start a cancellation are updated last, after all other functions and their rules. A consumer
// of an earlier version does not know of cancellations: it would charge or ship an order that is cancelled.

const PRODUCERS = ['orderService', 'reconciler'];

exports.consumersFirst = (naming, functionNames, resources) => {
  const consumers = functionNames.filter((name) => !PRODUCERS.includes(name)).map((name) => naming.getLambdaLogicalId(name));
  const rules = Object.keys(resources).filter((id) => invokes(resources[id], consumers));
  for (const name of PRODUCERS) {
    const producer = resources[naming.getLambdaLogicalId(name)];
    producer.DependsOn = [...new Set([producer.DependsOn ?? [], consumers, rules].flat())];
  }
};

/** Whether a resource is a rule on the bus for one of these functions, or for the topic that leads to one. */
function invokes({ Type, Properties }, consumers) {
  if (Type !== 'AWS::Events::Rule' || !Properties.EventPattern) return false;
  const targets = JSON.stringify(Properties.Targets);
  return [...consumers, 'OrderNotificationTopic'].some((id) => targets.includes(`"${id}"`));
}
