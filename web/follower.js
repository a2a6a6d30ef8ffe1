// Follows one order for a page: its events are pushed through a WebSocket, and each makes the page read the order again.
// A lost message does no harm: while no message arrives, the page reads the order with growing pauses, until it has ended.
// A hidden page reads nothing.

const FIRST_PAUSE_MS = 200; // between an event and reading its effects: a status, the notification
const LONGEST_PAUSE_MS = 30_000; // the pauses double up to it while nothing happens

export class Follower {
  /**
   * `ticket()` resolves to a ticket for one WebSocket, and `heard(event)` gets each event from it. `read(isPushed)`
   * resolves to `{ changed, over }`; `isPushed` says whether the events come by themselves. `failed(error)` gets
   * the error of a read. The signal ends everything.
   */
  constructor({ ticket, heard, read, failed, signal }) {
    Object.assign(this, { ticket, heard, read, failed, signal });
    this.pause = FIRST_PAUSE_MS;
    this.mayConnect = true;
    this.reading = Promise.resolve();
    document.addEventListener('visibilitychange', () => document.hidden || this.soon(0), { signal });
    signal.addEventListener('abort', () => {
      clearTimeout(this.timer);
      this.socket?.close();
    });
  }

  start() {
    this.#connect();
    this.soon();
  }

  /** Something has happened, or the page is visible again: the pauses begin with the shortest again. */
  soon(pause = FIRST_PAUSE_MS) {
    this.pause = FIRST_PAUSE_MS;
    this.#readAfter(pause);
  }

  /** Whether the events come by themselves. */
  get isPushed() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Read the order after a pause, if no read is due before. One read at a time, so that no response replaces a newer one. */
  #readAfter(pause) {
    const due = Date.now() + pause;
    if (this.isOver || this.signal.aborted || (this.timer && this.due <= due)) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.reading = this.reading.then(() => this.#read());
    }, pause);
  }

  async #read() {
    if (document.hidden || this.isOver || this.signal.aborted) return;
    let changed = false;
    try {
      ({ changed, over: this.isOver } = await this.read(this.isPushed));
      if (this.mayConnect && !this.isOver) this.#connect();
    } catch (error) {
      this.isOver = this.failed(error) === 'ended';
    }
    const comesMore = changed && !this.isPushed; // else the next event says so
    this.pause = comesMore ? FIRST_PAUSE_MS : Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    this.#readAfter(this.pause);
  }

  /** Open the WebSocket, one at a time. Where that fails, the order is read instead, and the next read tries again. */
  async #connect() {
    this.mayConnect = false;
    const url = await this.ticket().then((ticket) => ticket.url, ({ status }) => {
      this.mayConnect = status !== 404; // 404: this stage has no feed
    });
    if (!url || this.signal.aborted) return;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener('close', () => {
      this.mayConnect = true;
    });
    socket.addEventListener('open', () => {
      const openedAt = Date.now();
      this.#readAfter(0); // what happened before it was open
      socket.addEventListener('close', () => {
        if (Date.now() - openedAt > this.pause) this.soon(); // where none lasts, the pauses grow
      });
    });
    socket.addEventListener('message', ({ data }) => {
      const event = JSON.parse(data);
      if (!event.eventId) return; // API Gateway's own
      this.heard(event);
      this.soon();
    });
  }
}
