'use strict';

// provider.stage of serverless.yml: the stage of the command line, or else dev. osls resolves it before all else, so that
// a name which AWS takes nowhere is refused before anything is made. The plugin then refuses one that is too long.

const { refuse } = require('./refusal.js');

module.exports = ({ options }) => {
  const stage = options.stage ?? 'dev';
  // Stacks, functions and the archive take no other characters. Capitals they take, but `Prod` would be a stage beside
  // `prod`, without what serverless.yml says of it, and `Local` would go to AWS.
  if (!/^[a-z][a-z0-9-]*$/.test(stage)) {
    refuse(`--stage ${stage}: a stage is named with small letters, digits and hyphens, a letter first.`);
  }
  return stage;
};

/**
 * How many characters a stage may have. Two names come to AWS's limits first: `{service}-{stage}-{function}` of a function
 * has at most 64 characters, `{service}-{stage}` of the archive 48. A test measures all of them in the template.
 */
module.exports.longest = (service, functionNames) => {
  const ofFunctions = functionNames.map((name) => 64 - `${service}--${name}`.length);
  return Math.min(48 - `${service}-`.length, ...ofFunctions);
};

module.exports.refuseTooLong = (stage, service, functionNames) => {
  const longest = module.exports.longest(service, functionNames);
  if (stage.length > longest) {
    refuse(`--stage ${stage}: ${stage.length} characters are too many for the names on AWS; take at most ${longest}.`);
  }
};
