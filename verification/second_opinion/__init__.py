"""`npm run second-opinion`: the tests' findings on the emulator and moto, checked with other engines.

database     the unit stories, and the simulator's expressions, on dynalite; `on_dynalite` is pytest's plugin for it
permissions  each call of each function against each role, by iam-simulate
policies     every policy, by parliament
patterns     every rule against every event, by event-ruler
template     every variant of the CloudFormation template, by cfn-lint
deploying    the right to deploy, against the rights that CloudFormation's own schemas name

compiled     the variants of the template, and its values as a deploy would fill them in
engines      dynalite and iam-simulate, installed for this command only
opinion      what each of them reports

docs/emulator.md has a table of what each covers, and of what only AWS knows.
"""
