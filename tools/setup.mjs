// Sets this checkout up for groups of commands, as far as it is not yet, and runs one command:
//
//     node tools/setup.mjs GROUP … -- COMMAND [ARGUMENT …]    for example: node tools/setup.mjs test -- python -m pytest
//     node tools/setup.mjs clean                              removes everything that the commands made
//
// It needs Node and Python and nothing else. Each group has its Python packages in tools/locks/GROUP.txt; `deploy`
// needs none. All share .venv, but for those in APART. A mark, written last, says that a step is done and for which lock file, so what was interrupted is done
// again, and what is done needs no network. What npm and pip said is in .local/setup.log.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const VENV = path.join(ROOT, '.venv');
const VENV_PYTHON = path.join(VENV, 'bin', 'python');
const APART = ['scan']; // their packages contradict the others': each has an environment of its own, .venv/GROUP
const LOCKS = path.join(ROOT, 'tools', 'locks');
const LOCAL = path.join(ROOT, '.local');
const LOG = path.join(LOCAL, 'setup.log');
const TURN = path.join(LOCAL, 'setup.lock');
const PYTHONS = ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
const OLDEST_PYTHON = [3, 11];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Why npm or pip failed, by what they said, and the mend. The first that fits counts. */
const CAUSES = [
  [/spawn npm ENOENT/, 'npm is not on the PATH; it comes with Node'],
  [/ENOSPC|No space left on device/, 'the disk is full: make room, and run it again'],
  [
    /CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER|VERIFY)/,
    "the network's certificate is not trusted: name its authority's file in NODE_EXTRA_CA_CERTS and PIP_CERT",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET)|ETIMEDOUT|UNREACH|(NewConnection|NameResolution|Timeout)Error/,
    'there is no network, and this step needs it',
  ],
];

/** What the user can mend; its message is the one line that says how. */
class SetupError extends Error {}

async function main(words) {
  if (words[0] === 'clean') return clean();
  const separator = words.indexOf('--');
  const [groups, command] = [words.slice(0, separator), words.slice(separator + 1)];
  if (separator < 1 || command.length === 0) throw new SetupError('usage: node tools/setup.mjs GROUP … -- COMMAND');
  if (process.platform === 'win32') throw new SetupError('On Windows this runs in WSL 2: wsl --install');
  checkNode();
  for (const group of groups) {
    if (needsPackages(group) && !fs.existsSync(lockFile(group))) throw new SetupError(`there is no group ${group}`);
  }
  if (!groups.every(isReady)) {
    await inTurn(async () => {
      for (const group of groups) await setUp(group);
    });
  }
  return run(command, groups);
}

// --- what is needed -------------------------------------------------------------------------------------------------

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24;
  if (!fits) throw new SetupError(`Node ${process.versions.node} does not fit: install 20.19+, 22.13+ or 24+.`);
}

/** The name of the first Python that is new enough. What comes after it is not run: some only offer to install one. */
function findPython() {
  const tried = [process.env.PYTHON, ...PYTHONS].filter(Boolean);
  const tooOld = [];
  for (const name of tried) {
    const version = pythonVersion(name);
    if (!version) continue;
    if (version[0] === OLDEST_PYTHON[0] && version[1] >= OLDEST_PYTHON[1]) return name;
    tooOld.push(`${name} is ${version.join('.')}`);
  }
  const seen = tooOld.join(', ') || `tried ${tried.join(', ')}`;
  throw new SetupError(`no Python 3.11 or newer (${seen}): install one, or name it: PYTHON=/path/to/python3.12`);
}

/** [3, 12], or undefined where there is no such Python or it does not run. */
function pythonVersion(python) {
  const ask = ['-c', 'import sys; print(*sys.version_info[:2])'];
  const { status, stdout } = spawnSync(python, ask, { encoding: 'utf8' });
  return status === 0 && /^\d+ \d+$/.test(stdout.trim()) ? stdout.trim().split(' ').map(Number) : undefined;
}

/** Debian and Ubuntu ship Python without what makes a virtual environment. */
function checkEnsurepip(python) {
  if (spawnSync(python, ['-c', 'import ensurepip, venv']).status === 0) return;
  const aptPackage = `python${pythonVersion(python).join('.')}-venv`;
  throw new SetupError(
    `python3-venv is missing: ${python} has no ensurepip (Debian and Ubuntu: sudo apt install ${aptPackage})`
  );
}

// --- marks: what is done, and for which lock file -------------------------------------------------------------------

const npmMark = {
  file: path.join(ROOT, 'node_modules', '.set-up'),
  value: () => hash(path.join(ROOT, 'package-lock.json')),
};
const venvMark = { file: path.join(VENV, '.set-up'), value: () => `${ROOT} ${pythonVersion(VENV_PYTHON)}` };
const packagesMark = (group) => ({
  file: path.join(venvOf(group), `.set-up-${group}`),
  value: () => hash(lockFile(group)),
});

const venvOf = (group) => (APART.includes(group) ? path.join(VENV, group) : VENV);
const lockFile = (group) => path.join(LOCKS, `${group}.txt`);
const hash = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const isDone = ({ file, value }) => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === value();
const needsPackages = (group) => group !== 'deploy';

function isReady(group) {
  return isDone(npmMark) && isDone(venvMark) && (!needsPackages(group) || isDone(packagesMark(group)));
}

/** The groups of an environment whose lock file is not the one that was installed. */
function groupsToInstall(venv) {
  const groups = fs.readdirSync(LOCKS).filter((name) => name.endsWith('.txt')).map((name) => path.parse(name).name);
  return groups.filter((group) => venvOf(group) === venv && !isDone(packagesMark(group)));
}

// --- the steps ------------------------------------------------------------------------------------------------------

async function setUp(group) {
  if (!isDone(venvMark)) await makeVenv();
  if (!isDone(npmMark)) await installFramework();
  if (needsPackages(group) && !isDone(packagesMark(group))) await installPackages(group);
}

async function makeVenv() {
  const python = findPython();
  checkEnsurepip(python);
  fs.rmSync(VENV, { recursive: true, force: true });
  await step('Making a virtual environment in .venv', python, ['-m', 'venv', VENV]);
  fs.writeFileSync(venvMark.file, venvMark.value());
}

async function installFramework() {
  const lock = npmMark.value();
  await step('Installing the Serverless Framework (osls)', 'npm', ['ci', '--include=dev']); // also in production
  fs.writeFileSync(npmMark.file, lock);
}

async function installPackages(group) {
  const { file, value } = packagesMark(group);
  const [lock, venv] = [value(), venvOf(group)];
  // Groups share an environment. A mark of other locks, of another branch perhaps, does not hold after this.
  for (const stale of groupsToInstall(venv)) fs.rmSync(packagesMark(stale).file, { force: true });
  if (venv !== VENV) {
    fs.rmSync(venv, { recursive: true, force: true });
    await step(`Making a virtual environment in ${relative(venv)}`, VENV_PYTHON, ['-m', 'venv', venv]);
  }
  const [python, pip] = [path.join(venv, 'bin', 'python'), ['-m', 'pip', 'install', '--disable-pip-version-check']];
  const packages = ['--require-hashes', '-r', relative(lockFile(group))];
  await step(`Installing the Python packages for ${group}`, python, [...pip, ...packages]);
  fs.writeFileSync(file, lock);
}

/** Runs one program with its output in the log, and shows for how long. */
async function step(title, program, args) {
  const start = Date.now();
  const back = process.stdout.isTTY && !process.env.CI ? `\r${title} … ` : '';
  const time = () => `${back}${Math.round((Date.now() - start) / 1000)} s`;
  process.stdout.write(`${title} … `);
  const ticking = setInterval(() => back && process.stdout.write(time()), 1000);

  const { code, output, stoppedBy } = await runToEnd(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });

  clearInterval(ticking);
  process.stdout.write(code === 0 ? `${time()}\n` : back ? '\r\x1b[K' : '\n');
  fs.appendFileSync(LOG, `$ ${program} ${args.join(' ')}\n${output}\n`);
  if (stoppedBy) process.exit(exitCode(stoppedBy));
  if (code !== 0) throw new SetupError(`${title}: ${cause(output)} (log: ${relative(LOG)})`);
}

function cause(output) {
  const known = CAUSES.find(([said]) => said.test(output));
  if (known) return known[1];
  const lines = output.trim().split('\n');
  const first = lines.find((line) => /^(ERROR:|npm error (?!code|errno|syscall|path)\S)/.test(line));
  return `failed: ${first ?? lines[lines.length - 1]}`;
}

/** One command at a time sets up; others wait, and then find it done. Whose turn it is: a link to that process's id. */
async function inTurn(work) {
  fs.mkdirSync(LOCAL, { recursive: true });
  for (let told = false; !takeTurn(); await pause(100)) {
    if (!told) console.log('Another command is setting up this checkout; waiting for it …');
    told = true;
  }
  const giveTurn = () => whoseTurn() === process.pid && fs.rmSync(TURN, { force: true });
  process.on('exit', giveTurn);
  await work();
  giveTurn();
}

function takeTurn() {
  const owner = whoseTurn();
  // A killed command left it. Our own id: in another container, which is gone.
  if (owner && (owner === process.pid || !isAlive(owner))) fs.rmSync(TURN, { force: true });
  try {
    fs.symlinkSync(String(process.pid), TURN);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function whoseTurn() {
  try {
    return Number(fs.readlinkSync(TURN));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

// --- the command ----------------------------------------------------------------------------------------------------

/** Runs the command in the set-up checkout and returns its exit code. `python` is always that of .venv. */
async function run([program, ...args], groups) {
  const venvs = new Set([VENV, ...groups.map(venvOf)]);
  const bins = [...[...venvs].map((venv) => path.join(venv, 'bin')), path.join(ROOT, 'node_modules', '.bin')];
  const env = { ...process.env, PATH: [...bins, process.env.PATH].join(path.delimiter) };
  const { code, output } = await runToEnd(program, args, { env, stdio: 'inherit' });
  if (code < 0) throw new SetupError(`${program} does not start: ${output}`);
  return code;
}

/**
 * Runs a program in the checkout to its end, and passes signals on to it. Returns its exit code (negative where it does
 * not start), the output of its pipes, and the signal that was passed on.
 */
async function runToEnd(program, args, options) {
  let stoppedBy;
  const passOn = (signal) => {
    stoppedBy = signal;
    // Ctrl-C in a terminal reaches the program as well; from elsewhere it is ours to pass on.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, passOn); // first: a signal may come as soon as the program runs
  const child = spawn(program, args, { cwd: ROOT, ...options });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  child.on('error', (error) => (output += error.message));
  const [code, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  for (const name of SIGNALS) process.off(name, passOn);
  return { code: code ?? exitCode(signal), output, stoppedBy };
}

/** As a shell gives it. */
const exitCode = (signal) => 128 + os.constants.signals[signal];

// --- clean ----------------------------------------------------------------------------------------------------------

function clean() {
  const states = [LOCAL, process.env.ORDER_PROCESSING_STATE_DIR].filter(Boolean);
  const stacks = states.flatMap((folder) => filesNamed('emulator.json', folder));
  const running = stacks.find((file) => isAlive(JSON.parse(fs.readFileSync(file)).pid));
  if (running) throw new SetupError(`a local stack is running (${relative(running)}): stop it first, with Ctrl-C`);
  const owner = whoseTurn();
  if (owner && isAlive(owner)) throw new SetupError('another command is setting up this checkout: wait for it');
  const made = ['.venv', 'node_modules', '.local', '.serverless', '.mypy_cache', '.pytest_cache', '.ruff_cache'];
  for (const name of made) fs.rmSync(path.join(ROOT, name), { recursive: true, force: true });
  for (const name of ['__pycache__', '.ipynb_checkpoints']) {
    for (const folder of filesNamed(name, ROOT)) fs.rmSync(folder, { recursive: true });
  }
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

// --------------------------------------------------------------------------------------------------------------------

const relative = (file) => path.relative(ROOT, file);

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    // The system's own errors, a folder that can't be written perhaps, say it in a line. Others are a mistake of ours.
    console.error(error instanceof SetupError || error.syscall ? error.message : error);
    process.exit(1);
  }
);
