// Reads questions as JSON, `[{ policies, action, resource, context }]`, and prints the answer to each: `Allowed`,
// `ImplicitlyDenied`, `ExplicitlyDenied`, or why it can't be judged.

import { runSimulation } from '@cloud-copilot/iam-simulate';
import { text } from 'node:stream/consumers';

const ACCOUNT = '123456789012';
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

async function judged({ policies, action, resource, context }) {
  const result = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${ACCOUNT}:role/judged`,
        action,
        resource: { resource, accountId: ACCOUNT },
        contextVariables: context,
      },
      identityPolicies: policies.map((policy, n) => ({ name: `policy ${n}`, policy })),
      serviceControlPolicies: [{ orgIdentifier: 'o', policies: [{ name: 'everything', policy: everything }] }],
      resourceControlPolicies: [],
    },
    {}
  );
  if (result.resultType === 'error') return `can't be judged: ${JSON.stringify(result.errors)}`;
  const ignored = (result.results ?? [result.result]).flatMap((each) => each.ignoredContextKeys ?? []);
  return ignored.length ? `can't be judged: ${action} has no ${ignored.join(', ')}` : result.overallResult;
}

const questions = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(questions.map(judged))));
