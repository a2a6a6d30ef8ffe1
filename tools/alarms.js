'use strict';

// An alarm on each function's failed invocations, `OrderServiceErrors` for `orderService`, added to every new function.
// docs/runbook.md#functionerrors says what to do when one fires.

exports.functionErrors = (naming, functionNames) =>
  Object.fromEntries(functionNames.map((name) => [`${naming.getNormalizedFunctionName(name)}Errors`, alarm(naming, name)]));

function alarm(naming, name) {
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      AlarmDescription: `An invocation of ${naming.getNormalizedFunctionName(name)} failed. See docs/runbook.md#functionerrors`,
      Namespace: 'AWS/Lambda',
      MetricName: 'Errors',
      Dimensions: [{ Name: 'FunctionName', Value: { Ref: naming.getLambdaLogicalId(name) } }],
      Statistic: 'Sum',
      Period: 300,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching', // no data: nothing is called, and nothing fails
      AlarmActions: [{ Ref: 'AlarmTopic' }],
    },
  };
}
