// Sets this checkout up for a group of commands, as far as it is not yet, and runs one of them:
//
//     node setup.mjs GROUP -- COMMAND [ARGUMENT …]      for example: node setup.mjs test -- python -m pytest
//     node setup.mjs clean                              removes everything that the commands made
//
// It needs Node and Python and nothing else. Each group has its Python packages in packaging/locks/GROUP.txt; `deploy`
// needs none. A mark, written last, says that a step is done and for which lock file, so what was interrupted is done
// again, and what is done needs no network.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const VENV = path.join(ROOT, '.venv');
const VENV_PYTHON = path.join(VENV, 'bin', 'python');
const LOCAL = path.join(ROOT, '.local');
const LOG = path.join(LOCAL, 'setup.log');
const PYTHONS = ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
const OLDEST_PYTHON = [3, 11];
const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|NewConnectionError|name resolution|Connection refused|ConnectTimeout/;

/** What the user can mend; its message is the one line that says how. */
class SetupError extends Error {}

async function main([group, separator, ...command]) {
  if (group === 'clean') return clean();
  if (separator !== '--' || command.length === 0) throw new SetupError('usage: node setup.mjs GROUP -- COMMAND');
  checkNode();
  if (!isReady(group)) await withLock(() => setUp(group));
  return run(command);
}

// --- what is needed -------------------------------------------------------------------------------------------------

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24;
  if (!fits) throw new SetupError(`Node ${process.versions.node} does not fit: install 20.19+, 22.13+ or 24+.`);
}

/** The first Python that is new enough. */
function findPython() {
  const tried = [process.env.PYTHON, ...PYTHONS].filter(Boolean);
  const found = tried.map((name) => [name, pythonVersion(name)]).filter(([, version]) => version);
  const fitting = found.find(([, [major, minor]]) => major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
  if (fitting) return fitting[0];
  const seen = found.map(([name, version]) => `${name} is ${version.join('.')}`).join(', ') || `tried ${tried.join(', ')}`;
  throw new SetupError(`no Python 3.11 or newer (${seen}): install one, or name it: PYTHON=/path/to/python3.12`);
}

/** [3, 12], or undefined where there is no such Python or it does not run. */
function pythonVersion(python) {
  const { status, stdout } = spawnSync(python, ['-c', 'import sys; print(*sys.version_info[:2])'], { encoding: 'utf8' });
  return status === 0 && /^\d+ \d+$/.test(stdout.trim()) ? stdout.trim().split(' ').map(Number) : undefined;
}

// --- marks: what is done, and for which lock file -------------------------------------------------------------------

const npmMark = { file: path.join(ROOT, 'node_modules', '.set-up'), value: () => hash('package-lock.json') };
const venvMark = { file: path.join(VENV, '.set-up'), value: () => `${ROOT} ${pythonVersion(VENV_PYTHON)}` };
const packagesMark = (group) => ({
  file: path.join(VENV, `.set-up-${group}`),
  value: () => hash(path.join('packaging', 'locks', `${group}.txt`)),
});

const hash = (file) => createHash('sha256').update(fs.readFileSync(path.join(ROOT, file))).digest('hex');
const isDone = ({ file, value }) => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === value();
const setDone = ({ file, value }) => fs.writeFileSync(file, value());
const needsPackages = (group) => group !== 'deploy';

function isReady(group) {
  return isDone(npmMark) && isDone(venvMark) && (!needsPackages(group) || isDone(packagesMark(group)));
}

// --- the steps ------------------------------------------------------------------------------------------------------

async function setUp(group) {
  if (!isDone(venvMark)) {
    const python = findPython();
    fs.rmSync(VENV, { recursive: true, force: true });
    await step('Making a virtual environment in .venv', python, ['-m', 'venv', VENV], (output) =>
      output.includes('ensurepip')
        ? `${python} has no ensurepip: install it (Debian and Ubuntu: sudo apt install python3-venv)`
        : undefined
    );
    setDone(venvMark);
  }
  if (!isDone(npmMark)) {
    await step('Installing the Serverless Framework (osls)', 'npm', ['ci']);
    setDone(npmMark);
  }
  if (needsPackages(group) && !isDone(packagesMark(group))) {
    const lock = path.join('packaging', 'locks', `${group}.txt`);
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--require-hashes', '-r', lock];
    await step(`Installing the Python packages for ${group}`, VENV_PYTHON, pip);
    setDone(packagesMark(group));
  }
}

/** Runs one program with its output in the log, and shows for how long. */
function step(title, program, args, explain = () => undefined) {
  const start = Date.now();
  const seconds = () => Math.round((Date.now() - start) / 1000);
  const show = (text) => process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${text}` : '');
  fs.appendFileSync(LOG, `\n$ ${program} ${args.join(' ')}\n`);

  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    const ticking = setInterval(() => show(`${title} … ${seconds()} s`), 500);
    let output = '';
    const keep = (chunk) => {
      output += chunk;
      fs.appendFileSync(LOG, chunk);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => keep(`${error}\n`));
    child.on('close', (code) => {
      clearInterval(ticking);
      show('');
      if (code === 0) {
        console.log(`${title} … ${seconds()} s`);
        resolve();
        return;
      }
      const network = NO_NETWORK.test(output) ? 'there is no network, and this step needs it' : undefined;
      const last = output.trim().split('\n').pop();
      reject(new SetupError(`${title}: ${explain(output) ?? network ?? `failed: ${last}`} (log: ${relative(LOG)})`));
    });
  });
}

/** One command at a time sets up; others wait, and then find it done. */
async function withLock(work) {
  const lock = path.join(LOCAL, 'setup.lock');
  fs.mkdirSync(LOCAL, { recursive: true });
  for (let told = false; ; ) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(readIfThere(lock));
    if (owner && !isAlive(owner)) {
      fs.rmSync(lock, { force: true });
      continue;
    }
    if (!told) console.log('Another command is setting up this checkout; waiting for it …');
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    await work();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

// --- the command ----------------------------------------------------------------------------------------------------

/** Runs the command in the set-up checkout, passes signals on, waits for its end and returns its exit code. */
function run([program, ...args]) {
  const bins = [path.join(VENV, 'bin'), path.join(ROOT, 'node_modules', '.bin')];
  const env = { ...process.env, PATH: [...bins, process.env.PATH].join(path.delimiter) };
  const child = spawn(program, args, { cwd: ROOT, env, stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // Ctrl-C in a terminal reaches the child as well; from elsewhere it is ours to pass on.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new SetupError(`${program} does not start: ${error.message}`)));
    child.on('exit', (code, signal) => resolve(code ?? 128 + os.constants.signals[signal]));
  });
}

// --- clean ----------------------------------------------------------------------------------------------------------

function clean() {
  const running = filesNamed('emulator.json', LOCAL).find((file) => isAlive(JSON.parse(fs.readFileSync(file)).pid));
  if (running) throw new SetupError(`a local stack is running (${relative(running)}): stop it first, with Ctrl-C`);
  const made = ['.venv', 'node_modules', '.local', '.serverless', '.mypy_cache', '.pytest_cache', '.ruff_cache'];
  for (const name of made) fs.rmSync(path.join(ROOT, name), { recursive: true, force: true });
  for (const folder of filesNamed('__pycache__', ROOT)) fs.rmSync(folder, { recursive: true });
  console.log('Removed what the commands made.');
  return 0;
}

/** Files and folders of a name, anywhere below a folder. */
function filesNamed(name, folder) {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.name === name) return [file];
    return entry.isDirectory() && entry.name !== '.git' ? filesNamed(name, file) : [];
  });
}

// ---------------------------------------------------------------------------------------------------------------------

const relative = (file) => path.relative(ROOT, file);
const readIfThere = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error instanceof SetupError ? error.message : error);
    process.exit(1);
  }
);
