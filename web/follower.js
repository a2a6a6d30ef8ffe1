// Follows one order for a page: its events are pushed through a WebSocket, and each makes the page read the order again.
// A lost message costs nothing: while nothing is heard, the order is read at growing pauses, until it has ended. A hidden
// page reads nothing.

const FIRST_PAUSE_MS = 300; // between an event and reading what it has led to: a status, the notification
const LONGEST_PAUSE_MS = 30_000; // the pauses double up to it while nothing happens

export class Follower {
  /**
   * `ticket()` resolves to what opens one WebSocket, and `heard(event)` gets what comes through it. `read(isPushed)`
   * resolves to `{ changed, over }`; `isPushed` says whether the events come by themselves. `failed(error)` is told of a
   * read that failed. All ends with the signal.
   */
  constructor({ ticket, heard, read, failed, signal }) {
    Object.assign(this, { ticket, heard, read, failed, signal });
    this.pause = FIRST_PAUSE_MS;
    document.addEventListener('visibilitychange', () => this.#wake(), { signal });
    signal.addEventListener('abort', () => {
      clearTimeout(this.timer);
      this.socket?.close();
    });
  }

  async start() {
    await this.#connect();
    this.soon();
  }

  /** Read the order after the shortest pause, if no read is due before. */
  soon() {
    this.pause = FIRST_PAUSE_MS;
    if (this.isOver || this.signal.aborted) return;
    const due = Date.now() + this.pause;
    if (!this.timer || due < this.due) this.#readAt(due);
  }

  get isPushed() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  #readAt(due) {
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => this.#read(), due - Date.now());
  }

  async #read() {
    this.timer = null;
    if (document.hidden || this.signal.aborted) return;
    let changed = false;
    try {
      ({ changed, over: this.isOver } = await this.read(this.isPushed));
    } catch (error) {
      if (this.failed(error) === 'ended') return;
    }
    if (this.isOver || this.signal.aborted) return;
    if (!this.socket) await this.#connect();
    this.pause = changed ? FIRST_PAUSE_MS : Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    if (!this.timer) this.#readAt(Date.now() + this.pause);
  }

  /** Somebody looks at the page again. */
  #wake() {
    if (!document.hidden) this.soon();
  }

  /** Open the WebSocket. Where that fails, the order is read instead. */
  async #connect() {
    const url = await this.ticket().then((ticket) => ticket.url, () => null);
    if (!url || this.signal.aborted) return;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener('open', () => this.#readAt(Date.now())); // what happened before it was open
    socket.addEventListener('close', () => {
      this.socket = null;
    });
    socket.addEventListener('message', ({ data }) => {
      const event = JSON.parse(data);
      if (!event.eventId) return; // API Gateway's own
      this.heard(event);
      this.soon();
    });
  }
}
