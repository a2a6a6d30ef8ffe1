'use strict';

// provider.stage of serverless.yml: the stage of the command line, or else dev. osls resolves it first, so a name that AWS
// does not allow is refused before anything is made. The plugin then refuses one that is too long.

const { refuse } = require('./refusal.js');

module.exports = ({ options }) => {
  const stage = options.stage ?? 'dev';
  // The names of stacks, functions and the archive allow no other characters. They allow capitals, but `Prod` would be
  // another stage than `prod`, without its settings in serverless.yml, and `Local` would go to AWS.
  if (!/^[a-z][a-z0-9-]*$/.test(stage)) {
    refuse(`--stage ${stage}: use small letters, digits and hyphens, with a letter first.`);
  }
  return stage;
};

/**
 * How many characters a stage may have. Two names reach AWS's limits first: `{service}-{stage}-{function}` of a function
 * has at most 64 characters, `{service}-{stage}` of the archive 48. A test measures all of them in the template.
 */
module.exports.longest = (service, functionNames) => {
  const ofFunctions = functionNames.map((name) => 64 - `${service}--${name}`.length);
  return Math.min(48 - `${service}-`.length, ...ofFunctions);
};

module.exports.refuseTooLong = (stage, service, functionNames) => {
  const longest = module.exports.longest(service, functionNames);
  if (stage.length > longest) {
    refuse(`--stage ${stage}: ${stage.length} characters are too many for the names on AWS; use at most ${longest}.`);
  }
};
