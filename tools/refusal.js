'use strict';

/** Stops with one line, before anything is done. osls's own errors add five lines around theirs. */
function refuse(line) {
  process.stderr.write(`${line}\n`);
  process.exit(1);
}

module.exports = { refuse };
