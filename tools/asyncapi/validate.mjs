// Validates a document with AsyncAPI's own parser: `node tools/asyncapi/validate.mjs docs/asyncapi.yaml`.
// Prints each diagnostic, of any severity, with its place; exits 1 if there is one.

import fs from 'node:fs';
import { Parser } from '@asyncapi/parser';

const SEVERITIES = ['error', 'warning', 'information', 'hint'];

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(fs.readFileSync(file, 'utf8'));
for (const { severity, path, message, range } of diagnostics) {
  console.log(`${file}:${range.start.line + 1}: ${SEVERITIES[severity]}: ${path.join('.') || 'the document'}: ${message}`);
}
process.exit(document && diagnostics.length === 0 ? 0 : 1);
