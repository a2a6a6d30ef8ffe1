'use strict';

// A failed invocation is logged twice: by our line, which has the event's ids, and by Lambda, which alone has the stack.
// `sls logs` shows the error's text once: Lambda's line is shown without it.

const parsed = (message) => {
  try {
    return Object(JSON.parse(message));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
};

/** Folds the pages that CloudWatch Logs returned, one after the other: a line of ours may be on the page before Lambda's. */
class Failures {
  constructor() {
    this.ofRequest = new Map(); // request id → our words for its failure
    this.ofStream = new Map(); // log stream → the lines of those words that a traceback in plain text may end with
  }

  fold(events) {
    return events.map((event) => this.foldOne(event)).filter(Boolean);
  }

  foldOne(event) {
    const { requestId, level, message, errorType, errorMessage = message, stackTrace } = parsed(event.message);
    if (Array.isArray(stackTrace) && errorType) {
      if (this.ofRequest.get(requestId) !== `${errorType}: ${errorMessage}`) return event;
      return { ...event, message: `Traceback of request ${requestId}:\n${stackTrace.join('')}` };
    }
    if (level === 'ERROR' && requestId && typeof message === 'string') {
      this.ofRequest.set(requestId, message);
      this.ofStream.set(event.logStreamName, message.split('\n'));
      return event;
    }
    return this.isRepeated(event) ? undefined : event;
  }

  /** Whether it repeats the next line of our own text. Python puts the module in front of the exception's name. */
  isRepeated({ logStreamName, message }) {
    const [next, ...rest] = this.ofStream.get(logStreamName) ?? [];
    const isNext = next && message.endsWith(next) && /^([\w.]+\.)?$/.test(message.slice(0, -next.length));
    if (isNext) this.ofStream.set(logStreamName, rest);
    return isNext;
  }
}

/** Makes osls's `logs` show each failure's text once. */
function foldFailures(serverless) {
  const logs = serverless.pluginManager.plugins.find((plugin) => plugin.hooks?.['logs:logs']);
  const [getClient, failures] = [logs.getCloudWatchLogsClient.bind(logs), new Failures()];
  logs.getCloudWatchLogsClient = async () => {
    const client = await getClient();
    const send = async (command) => {
      const results = await client.send(command);
      return results.events ? { ...results, events: failures.fold(results.events) } : results;
    };
    return { send };
  };
}

module.exports = { Failures, foldFailures };
