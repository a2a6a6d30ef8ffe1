'use strict';

// osls's plugin of this service. It guards the target: stage `local` is the embedded AWS and nothing else, any other
// stage is AWS and nothing else. It builds the package, so that a bare `sls deploy` works. It adds an alarm to every
// function. `sls logs` shows a failure once. And it lets one run at a time use .serverless/.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const alarms = require('./alarms.js');
const { foldFailures } = require('./failures.js');
const { asRead, isGiven, readParameters } = require('./parameters.js');
const { refuse } = require('./refusal.js');
const { refuseTooLong } = require('./stage.js');
const storefront = require('./storefront.js');
const updateOrder = require('./update_order.js');

const OFFLINE = new Set(['package', 'print', 'plugin', 'help']);
const BUILDS = new Set(['package', 'deploy']);
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
const NOT_RUNNING = 'Stage local needs the embedded AWS, which is not running: npm start';
const NO_CREDENTIALS =
  'There are no AWS credentials: aws configure, or aws sso login; another profile is named with --aws-profile NAME. ' +
  'The rights that they need: docs/deploy-policy.json';

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM'; // somebody else's
  }
}

const shown = ({ apiUrl, webUrl }) => [`endpoint: ${apiUrl}`, ...(webUrl ? [`storefront: ${webUrl}`] : [])].join('\n');

class OrderProcessing {
  constructor(serverless, options) {
    this.serverless = serverless;
    this.options = options;
    this.stage = serverless.getProvider('aws').getStage();
    this.userEnv = { ...process.env };
    this.python = path.join(serverless.serviceDir, '.venv', 'bin', 'python');
    this.stateDir = path.resolve(serverless.serviceDir, process.env.ORDER_PROCESSING_STATE_DIR || '.local');
    this.lock = path.join(serverless.serviceDir, '.venv', 'sls.lock');
    this.configurationVariablesSources = {
      rules: { resolve: () => ({ value: this.rulesOfFunctions() }) },
      given: { resolve: ({ address }) => ({ value: String(isGiven(this.parameters?.[address])) }) }, // none for --help
      deployed: { resolve: ({ address }) => ({ value: String(address in serverless.configurationInput.functions) }) },
    };
    this.hooks = {
      'before:logs:logs': () => foldFailures(serverless),
      'before:package:createDeploymentArtifacts': () => this.build(),
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.completeTemplate(),
      'before:aws:deploy:deploy:updateStack': async () => {
        if (this.hasStorefront) this.flow = JSON.parse(this.run(['-m', 'tools.flow'], process.env)); // before AWS changes
        if (!this.hasStorefront) await storefront.empty(serverless.getProvider('aws')); // else it could not be removed
      },
      'after:deploy:finalize': async () => {
        if (this.hasStorefront) await storefront.upload(serverless.getProvider('aws'), serverless.serviceDir, this.flow);
      },
      'before:remove:remove': async () => {
        const provider = serverless.getProvider('aws');
        // osls refuses to remove a protected stack, but only after this: its page must not be gone by then.
        if (!(await storefront.isProtected(provider))) await storefront.empty(provider);
      },
    };
    if (this.stage === 'local') {
      const file = path.join(this.stateDir, 'stack.json');
      const described = () => JSON.parse(fs.readFileSync(file, 'utf8'));
      Object.assign(this.hooks, {
        'before:aws:info:validate': () => this.describe(),
        'before:aws:info:displayEndpoints': () => this.nameLocalUrls(described()),
        'after:aws:info:displayEndpoints': () => this.nameStorefront(described()),
        'finalize': () => this.nothingToDeploy && process.stdout.write(`${shown(described())}\n`),
        'after:remove:remove': () => fs.rmSync(file, { force: true }),
      });
    }
  }

  /** The guard. osls awaits it before it resolves credentials and before any hook, its own included. */
  async asyncInit() {
    const { commands, isHelpRequest } = this.serverless.processedInput;
    if (isHelpRequest || commands.length === 0) return;
    const connects = !OFFLINE.has(commands[0]);
    const builds = BUILDS.has(commands[0]) && commands[1] !== 'list';
    const { service, functions } = this.serverless.configurationInput;
    refuseTooLong(this.stage, service, Object.keys(functions));
    this.parameters = readParameters(this.options.param ?? [], this.serverless.configurationInput.params, this.stage);
    process.argv = asRead(process.argv, this.parameters); // osls reads it again once it has its plugins

    if (!this.hasStorefront && this.stage !== 'local') delete functions.orderFeed;

    if (this.stage === 'local') {
      if (connects) await this.useEmbeddedAws();
    } else {
      const endpoint = Object.keys(process.env).find((name) => /^AWS_ENDPOINT_URL/.test(name) && process.env[name]);
      if (connects && endpoint) {
        refuse(`Stage ${this.stage} goes to AWS, but ${endpoint} is set: unset it, or use --stage local.`);
      }
      if (builds && !this.parameters.senderEmail) {
        refuse(
          `Stage ${this.stage} needs the address that its e-mails come from: ` +
            `npm run ${commands[0]} -- --stage ${this.stage} --param senderEmail=you@example.com`
        );
      }
    }
    if (connects) await this.requireCredentials();
    if (builds) {
      if (!fs.existsSync(this.python)) {
        refuse(`The package is built by .venv, which is missing: npm run ${commands[0]} makes it.`);
      }
      await this.waitForOthers();
    }
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'; // package-lock.json pins one that fits
  }

  /** osls would ask for them after it has built the package. */
  async requireCredentials() {
    try {
      await this.serverless.getProvider('aws').getAwsSdkV3CredentialsProvider()();
    } catch (error) {
      if (error.code === 'AWS_CREDENTIALS_NOT_FOUND') refuse(NO_CREDENTIALS);
      if (error.code === 'UNRECOGNIZED_AWS_PROFILE') refuse(`${error.message}: name another one with --aws-profile NAME`);
      throw error;
    }
  }

  get hasStorefront() {
    return this.parameters.storefront === 'true';
  }

  /** Writes stack.json after a deploy, which ends with the output of `sls info`. */
  describe() {
    if (this.serverless.processedInput.commands[0] === 'deploy') this.run(['-m', 'local.emulator.describe'], process.env);
  }

  /** For `sls info`: the URL in the stack's output is AWS's form of it, at which nothing responds here. */
  nameLocalUrls({ apiUrl, WebSocketUrl }) {
    const { gatheredData } = this.serverless.pluginManager.plugins.find(({ constructor }) => constructor.name === 'AwsInfo');
    gatheredData.info.endpoints = [`httpApi: ${apiUrl}`];
    const local = { HttpApiUrl: apiUrl, WebSocketUrl, ServiceEndpointWebsocket: WebSocketUrl };
    for (const output of gatheredData.outputs) output.OutputValue = local[output.OutputKey] ?? output.OutputValue;
  }

  /** Then osls shows nothing of the stack. */
  get nothingToDeploy() {
    const { shouldNotDeploy, deploymentWithEmptyChangeSet } = this.serverless.service.provider;
    const isDeploy = this.serverless.processedInput.commands.join(' ') === 'deploy';
    return isDeploy && Boolean(shouldNotDeploy || deploymentWithEmptyChangeSet);
  }

  nameStorefront({ webUrl }) {
    if (webUrl) this.serverless.serviceOutputs.set('storefront', webUrl);
  }

  /** The ARN of each rule that osls makes for a function. Its logical id has the function's name in full. */
  rulesOfFunctions() {
    const { naming } = this.serverless.getProvider('aws');
    return Object.entries(this.serverless.configurationInput.functions)
      .flatMap(([name, { events = [] }]) => events
        .map(({ eventBridge }, index) => eventBridge && `${naming.getStackName()}-${name}-rule-${index + 1}`))
      .filter(Boolean)
      .map((rule) => ({ 'Fn::GetAtt': [naming.getEventBridgeRuleLogicalId(rule), 'Arn'] }));
  }

  completeTemplate() {
    const { naming } = this.serverless.getProvider('aws');
    const { Resources } = this.serverless.service.provider.compiledCloudFormationTemplate;
    const functionNames = this.serverless.service.getAllFunctions();
    Object.assign(Resources, alarms.functionErrors(naming, functionNames));
    updateOrder.consumersFirst(naming, functionNames, Resources);
  }

  /** Points the AWS SDK at the running embedded AWS, whatever profile, region or proxy the user's shell has. */
  async useEmbeddedAws() {
    const file = path.join(this.stateDir, 'emulator.json');
    if (!fs.existsSync(file)) refuse(NOT_RUNNING);
    const emulator = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (!LOOPBACK.has(new URL(emulator.endpointUrl).hostname)) {
      refuse(`Stage local stays on this machine, but ${file} names ${emulator.endpointUrl}.`);
    }
    const region = this.serverless.getProvider('aws').getRegion();
    if (region !== emulator.region) refuse(`Stage local is in ${emulator.region}: leave out --region ${region}.`);
    const health = new URL('/_ministack/health', emulator.endpointUrl);
    const responds = await fetch(health, { signal: AbortSignal.timeout(5000) }).then(({ ok }) => ok, () => false);
    if (!responds) refuse(NOT_RUNNING);

    for (const name of Object.keys(process.env)) {
      if (/^AWS_/i.test(name) || /^(https?_)?proxy$/i.test(name)) delete process.env[name];
    }
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: emulator.endpointUrl,
      AWS_REGION: emulator.region,
      AWS_ACCESS_KEY_ID: emulator.accessKeyId,
      AWS_SECRET_ACCESS_KEY: emulator.secretAccessKey,
      AWS_CONFIG_FILE: os.devNull,
      AWS_SHARED_CREDENTIALS_FILE: os.devNull,
      SLS_AWS_MONITORING_FREQUENCY: '250', // milliseconds
    });
  }

  /**
   * Takes the lock, a link to this process's id, and keeps it to the end. osls has one .serverless/ per checkout, which it
   * empties first and reads once more after the deploy: `npm start` and `npm test` side by side would overwrite each other's.
   */
  async waitForOthers() {
    for (let isAnnounced = false; ; isAnnounced = true) {
      try {
        fs.symlinkSync(String(process.pid), this.lock);
        process.on('exit', () => this.release());
        return;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const owner = this.lockOwner();
      if (owner && !isRunning(owner)) fs.rmSync(this.lock, { force: true });
      else if (!isAnnounced) process.stderr.write('Waiting for another sls in this checkout\n');
      await pause(100);
    }
  }

  release() {
    if (this.lockOwner() === process.pid) fs.rmSync(this.lock, { force: true });
  }

  lockOwner() {
    try {
      return Number(fs.readlinkSync(this.lock));
    } catch (error) {
      if (error.code === 'ENOENT') return null; // just released
      throw error;
    }
  }

  build() {
    const { provider, package: { artifact } } = this.serverless.service;
    const target = ['--stage', this.stage, '--runtime', provider.runtime, '--architecture', provider.architecture];
    this.run(['-m', 'tools.build', ...target, '--output', artifact], this.userEnv); // uv may need the user's proxy
  }

  /** Runs Python in the checkout and returns its stdout. If it fails, its last line is the message; else its stderr is shown. */
  run(args, env) {
    const { status, stdout, stderr } = spawnSync(this.python, args, {
      cwd: this.serverless.serviceDir,
      env,
      encoding: 'utf8',
    });
    if (status === 0) {
      process.stderr.write(stderr);
      return stdout;
    }
    const lines = `${stdout}\n${stderr}`.trim().split('\n');
    throw new this.serverless.classes.Error(lines[lines.length - 1] || `python ${args.join(' ')} failed`);
  }
}

module.exports = OrderProcessing;
