// How the service is, asked every five seconds.

import type { Api } from './api';
import type { Status } from './status';

const everyMs = 5000;

export class Pulse {
  status = $state.raw<Status | null>(null);
  /** Set while the last question failed; the figures shown are then old. */
  error = $state.raw<unknown>(null);
  /** The wall clock, for "3 min ago"; moves with each question. */
  now = $state.raw(new Date());

  #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  start(): () => void {
    const stop = new AbortController();
    const ask = async () => {
      this.now = new Date();
      // A tab that nobody sees does not ask.
      if (!document.hidden) await this.#ask(stop.signal);
      if (!stop.signal.aborted) timer = setTimeout(ask, everyMs);
    };
    let timer = setTimeout(ask, 0);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }

  async #ask(signal: AbortSignal): Promise<void> {
    try {
      this.status = await this.#api.status(signal);
      this.error = null;
    } catch (error) {
      if (!signal.aborted) this.error = error;
    }
  }
}
