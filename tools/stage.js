'use strict';

// provider.stage of serverless.yml: the stage of the command line, or else dev. osls resolves it before all else, so that
// what AWS can't make is refused before anything is made. A name is `order-processing-{stage}-…`, and the longest comes
// first to its limit: that of a function, 64 characters, for orderStatusUpdater. A test measures it in the template.

const { refuse } = require('./refusal.js');

const LONGEST = 28;

module.exports = ({ options }) => {
  const stage = options.stage ?? 'dev';
  // Stacks, functions and the archive take no other characters. Capitals they take, but `Prod` would be a stage beside
  // `prod`, without what serverless.yml says of it, and `Local` would go to AWS.
  if (!/^[a-z][a-z0-9-]*$/.test(stage)) {
    refuse(`--stage ${stage}: a stage is named with small letters, digits and hyphens, a letter first.`);
  }
  if (stage.length > LONGEST) {
    refuse(`--stage ${stage}: ${stage.length} characters are too many for the names on AWS; take at most ${LONGEST}.`);
  }
  return stage;
};
