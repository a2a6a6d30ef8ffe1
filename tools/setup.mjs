// Sets this checkout up for a command, if necessary, and runs the command:
//
//     node tools/setup.mjs [GROUP …] -- COMMAND [ARGUMENT …]    for example: dev -- python -m pytest
//     node tools/setup.mjs clean                                removes everything that the commands made
//     node tools/setup.mjs help                                 explains each npm command in a sentence
//
// It needs Node and Python and nothing else. npm installs the framework while pip puts uv into .venv, and uv installs
// the packages of tools/locks/GROUP.txt. A mark, written last, says what is installed and from which locks: an
// interrupted set-up is done again, and a finished one needs no network. .local/setup.log has the installers' output.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

process.chdir(fileURLToPath(new URL('..', import.meta.url))); // every path below is relative to the checkout

const APART = ['scan']; // its packages contradict the others': it has an environment of its own, .venv/scan
const OF_NPM = { asyncapi: 'tools/asyncapi' }; // groups of npm packages, which only checks need: each has a folder of its own
const PYTHONS = ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
const PYTHON = '.venv/bin/python';
const [NPM_MARK, MARK] = ['node_modules/.set-up', '.venv/.set-up'];
const [LOG, TURN] = ['.local/setup.log', '.local/setup.lock'];

/** Why an installer failed, by its output, and the fix. The first match counts. */
const CAUSES = [
  [/spawn npm ENOENT/, 'npm is not on the PATH; it comes with Node'],
  [/ENOSPC|No space left on device/, 'the disk is full: make room, and run it again'],
  [
    /CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER|VERIFY)|invalid peer certificate/,
    "the network's certificate is not trusted: set NODE_EXTRA_CA_CERTS and PIP_CERT to its authority's file",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|UNREACH|(NewConnection|NameResolution|Timeout)Error|error sending request/,
    'there is no network, and this step needs it',
  ],
];

/** A problem that the user can fix; its message is the one line that says how. */
class SetupError extends Error {}

let onSignal = (signal) => process.exit(exitCode(signal));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => onSignal(signal));

async function main(words) {
  if (words[0] === 'clean') return clean();
  if (words[0] === 'help') return help();
  const separator = words.indexOf('--');
  const [groups, command] = [words.slice(0, separator), words.slice(separator + 1)];
  if (separator < 0 || command.length === 0) throw new SetupError('usage: node tools/setup.mjs [GROUP …] -- COMMAND');
  if (process.platform === 'win32') throw new SetupError('On Windows this runs in WSL 2: wsl --install');
  checkNode();
  checkNamedPython();
  const isReady = () => hasFramework() && groups.every((group) => installed()?.includes(group)) && installed();
  if (!isReady()) {
    await checkPorts(command);
    await inTurn(async () => isReady() || (await setUp(groups)));
  }
  return run(command, groups);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24;
  if (!fits) throw new SetupError(`Node ${process.versions.node} does not fit: install 20.19+, 22.13+ or 24+.`);
}

/** A Python's minor version, its file, and whether it can make .venv. */
function probe(name) {
  const script = ['import sys', 'print(*sys.version_info[:2])', 'print(sys.executable)', 'import ensurepip, venv'];
  const { status, stdout } = spawnSync(name, ['-c', script.join('\n')], { encoding: 'utf8' });
  const [, minor, file] = /^3 (\d+)\n(.+)$/m.exec(stdout) ?? [];
  return { minor: Number(minor ?? NaN), file, isWhole: status === 0 };
}

/** Refuses a $PYTHON that can't be used, whether .venv exists or not. */
function checkNamedPython() {
  const name = process.env.PYTHON;
  if (!name) return;
  const { minor, file } = probe(name);
  const fix = 'name one of 3.11 or newer, or unset PYTHON';
  if (!minor) throw new SetupError(`PYTHON=${name} is not a Python 3 that runs: ${fix}`);
  if (minor < 11) throw new SetupError(`PYTHON=${name} is Python 3.${minor}: ${fix}`);
  if (!fs.existsSync(PYTHON) || fs.realpathSync(file) === fs.realpathSync(PYTHON)) return;
  const made = `.venv was made with ${fs.realpathSync(PYTHON)}, not with PYTHON=${name}`;
  throw new SetupError(`${made}: run npm run clean first, or unset PYTHON`);
}

/** The name of the first Python that is new enough. Later ones are not run: some only offer to install one. */
function findPython() {
  const [tried, tooOld] = [[process.env.PYTHON, ...PYTHONS].filter(Boolean), []];
  for (const name of tried) {
    const { minor, isWhole } = probe(name);
    const hint = `(Debian and Ubuntu: sudo apt install python3.${minor}-venv)`;
    if (minor >= 11 && !isWhole) throw new SetupError(`python3-venv is missing: ${name} has no ensurepip ${hint}`);
    if (minor >= 11) return name;
    if (minor) tooOld.push(`${name} is 3.${minor}`);
  }
  const seen = tooOld.join(', ') || `tried ${tried.join(', ')}`;
  throw new SetupError(`no Python 3.11 or newer (${seen}): install one, or name it: PYTHON=/path/to/python3.12`);
}

/** Refuses a port of `npm start` that is taken before minutes of installing, with the message of local/emulator/ports.py. */
async function checkPorts([...command]) {
  if (command.splice(0, 3).join(' ') !== 'python -m local' || fs.existsSync('.local/emulator.json')) return;
  const options = { port: { type: 'string', default: '4566' } };
  const port = Number(parseArgs({ args: command, options, strict: false }).values.port);
  if (!(port >= 1024 && port <= 65534)) return; // the launcher says what is wrong with it
  for (const wanted of [port, port + 1]) {
    if (!(await isTaken(wanted))) continue;
    let free = 4576;
    while ((await isTaken(free)) || (await isTaken(free + 1))) free += 10;
    throw new SetupError(`port ${wanted} is in use; use another: npm start -- --port ${free}`);
  }
}

function isTaken(port) {
  return new Promise((resolve) => {
    const knock = net.connect({ host: '127.0.0.1', port }, () => knock.destroy() && resolve(true));
    knock.on('error', () => resolve(false));
  });
}

const text = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
const hash = (...parts) => createHash('sha256').update(parts.join('\n')).digest('hex');
const lock = (group) => (OF_NPM[group] ? `${OF_NPM[group]}/package-lock.json` : `tools/locks/${group}.txt`);
const NPM_LOCK = hash(text('package-lock.json'));
const LOCKS = hash(
  ...fs.readdirSync('tools/locks').sort().map((name) => text(`tools/locks/${name}`)),
  ...Object.keys(OF_NPM).map((group) => text(lock(group)))
);

const hasFramework = () => text(NPM_MARK) === NPM_LOCK;

/** A virtual environment depends on its place, its Python and its uv. */
const base = () => fs.existsSync(PYTHON) && hash(process.cwd(), fs.realpathSync(PYTHON), text(lock('uv')));

/** The groups that are installed, none if a lock has changed; undefined if .venv has to be made again. */
function installed() {
  const [madeOf, locks, ...groups] = text(MARK).split('\n');
  const isThere = (group) => !OF_NPM[group] || fs.existsSync(`${OF_NPM[group]}/node_modules`);
  return madeOf === base() ? (locks === LOCKS ? groups.filter(isThere) : []) : undefined;
}

async function setUp(groups) {
  const [stop, start] = [new AbortController(), Date.now()];
  let failure;
  onSignal = (signal) => stop.abort((failure ??= signal));
  const step = async (title, program, ...args) => {
    const options = { stdio: ['ignore', 'pipe', 'pipe'], signal: stop.signal };
    const { code, output } = await end(spawn(program, args, options));
    fs.appendFileSync(LOG, `$ ${program} ${args.join(' ')}\n${output}\n`);
    if (code !== 0) throw new SetupError(`${title}: ${cause(output)} (log: ${LOG})`);
  };
  const title = `Setting up this checkout for ${groups.join(' and ') || 'sls'} … `;
  const back = process.stdout.isTTY && !process.env.CI ? `\r${title}` : '';
  const seconds = () => `${back}${Math.round((Date.now() - start) / 1000)} s`;
  process.stdout.write(title);
  const ticking = setInterval(() => back && process.stdout.write(seconds()), 1000);

  const parts = [installFramework(step), installPackages(step, groups)];
  await Promise.all(parts.map((part) => part.catch((error) => stop.abort((failure ??= error)))));

  clearInterval(ticking);
  process.stdout.write(failure ? '\n' : `${seconds()}\n`);
  if (typeof failure === 'string') process.exit(exitCode(failure));
  if (failure) throw failure;
}

async function installFramework(step) {
  if (hasFramework()) return;
  await step('Installing the Serverless Framework (osls)', 'npm', 'ci', '--include=dev'); // also in production
  fs.writeFileSync(NPM_MARK, NPM_LOCK);
}

async function installPackages(step, groups) {
  if (!installed()) {
    const python = findPython();
    fs.rmSync('.venv', { recursive: true, force: true });
    await step('Making a virtual environment in .venv', python, '-m', 'venv', '.venv');
    const pip = ['-m', 'pip', '--disable-pip-version-check', 'install', '--require-hashes', '-r', lock('uv')];
    await step('Installing uv', PYTHON, ...pip);
  }
  const uv = ['-m', 'tools.uv'];
  const done = installed() ?? [];
  const mark = () => fs.writeFileSync(MARK, [base(), LOCKS, ...done].join('\n'));
  mark();
  for (const group of groups.filter((group) => !done.includes(group))) {
    if (OF_NPM[group]) {
      const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']; // one of the packages reports each installation
      await step(`Installing the npm packages for ${group}`, 'npm', 'ci', '--prefix', OF_NPM[group], ...quiet);
      done.push(group);
      mark();
      continue;
    }
    const [title, venv] = [`Installing the Python packages for ${group}`, venvOf(group)];
    if (APART.includes(group)) await step(title, PYTHON, ...uv, 'venv', '--clear', '--python', PYTHON, venv);
    const packages = ['--python', `${venv}/bin/python`, '--require-hashes', '-r', lock(group)];
    await step(title, PYTHON, ...uv, 'pip', 'install', ...packages);
    done.push(group);
    mark();
  }
}

function cause(output) {
  const lines = output.trim().split('\n');
  const first = lines.find((line) => /^(ERROR:|error:|npm error (?!code|errno|syscall|path)\S)/.test(line));
  return CAUSES.find(([said]) => said.test(output))?.[1] ?? `failed: ${first ?? lines.at(-1)}`;
}

/** One command at a time sets up; the others wait. The lock is a link to the id of its process. */
async function inTurn(work) {
  fs.mkdirSync('.local', { recursive: true });
  process.on('exit', () => whoseTurn() === process.pid && fs.rmSync(TURN));
  for (let isAnnounced = false; !takeTurn(); await pause(100)) {
    if (!isAnnounced) console.log('Another command is setting up this checkout; waiting for it …');
    isAnnounced = true;
  }
  await work();
  fs.rmSync(TURN);
}

function takeTurn() {
  const owner = whoseTurn();
  // A killed command left it. Our own id: in another container, which is gone.
  if (owner && (owner === process.pid || !isAlive(owner))) fs.rmSync(TURN, { force: true });
  try {
    fs.symlinkSync(String(process.pid), TURN);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  return whoseTurn() === process.pid;
}

function whoseTurn() {
  try {
    return Number(fs.readlinkSync(TURN));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const venvOf = (group) => (APART.includes(group) ? `.venv/${group}` : '.venv');

/** Runs the command in the set-up checkout and returns its exit code. `python` is always that of .venv. */
async function run([program, ...args], groups) {
  const venvs = [...new Set(['.venv', ...groups.map(venvOf)])];
  const programs = [...venvs.map((venv) => `${venv}/bin`), 'node_modules/.bin'].map((folder) => path.resolve(folder));
  const PATH = [...programs, process.env.PATH].join(path.delimiter);
  // Ctrl-C in a terminal reaches the program as well; from elsewhere it is ours to pass on.
  onSignal = (signal) => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal);
  const child = spawn(program, args, { env: { ...process.env, PATH }, stdio: 'inherit' });
  const { code, output } = await end(child);
  if (code < 0) throw new SetupError(`${program} does not start: ${output}`);
  return code;
}

/** Awaits a program's end. Returns its exit code, negative if it did not start, and the output of its pipes. */
async function end(child) {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (said) => (output += said));
  child.on('error', (error) => (output += error.message));
  const [code, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  return { code: code ?? exitCode(signal), output };
}

/** The exit code that a shell returns for a signal. */
const exitCode = (signal) => 128 + os.constants.signals[signal];

function clean() {
  const stacks = ['.local', process.env.ORDER_PROCESSING_STATE_DIR].flatMap((folder) => named('emulator.json', folder));
  const running = stacks.find((file) => isAlive(JSON.parse(text(file)).pid));
  if (running) throw new SetupError(`a local stack is running (${running}): stop it first, with Ctrl-C`);
  const owner = whoseTurn();
  if (owner && isAlive(owner)) throw new SetupError('another command is setting up this checkout: wait for it');
  const made = ['.venv', 'node_modules', '.local', '.serverless', '.mypy_cache', '.pytest_cache', '.ruff_cache'];
  made.push(...Object.values(OF_NPM).map((folder) => `${folder}/node_modules`));
  for (const name of made) fs.rmSync(name, { recursive: true, force: true });
  const inside = ['__pycache__', '.ipynb_checkpoints'].flatMap((name) => named(name, '.'));
  for (const folder of inside) fs.rmSync(folder, { recursive: true, force: true });
  console.log('Removed everything that the commands made.');
  return 0;
}

/** The sentences are in package.json, where the commands are. */
function help() {
  const { scripts, 'scripts-info': sentences } = JSON.parse(text('package.json'));
  const typed = (name) => (['start', 'test'].includes(name) ? `npm ${name}` : `npm run ${name}`);
  const width = Math.max(...Object.keys(scripts).map((name) => typed(name).length));
  for (const name of Object.keys(scripts)) console.log(`${typed(name).padEnd(width)}  ${sentences[name]}`);
  console.log('\nArguments come after --, as in: npm run dlq -- list --stage local');
  return 0;
}

/** Files and folders of a name, anywhere below a folder. */
function named(name, folder) {
  if (!folder || !fs.existsSync(folder)) return [];
  const files = fs.readdirSync(folder, { recursive: true }).filter((file) => path.basename(file) === name);
  return files.map((file) => path.join(folder, file)).filter((file) => !file.startsWith('.git/'));
}

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
    // The system's errors, such as a folder that can't be written, are one line. Any other error is a bug of ours.
    console.error(error instanceof SetupError || error.syscall ? error.message : error);
    process.exit(1);
  }
);
