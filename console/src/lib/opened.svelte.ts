// The one alert that is open. What is known from the list is shown at once; evidence and deliveries follow.

import type { Alert, Row } from './alert';
import type { Api } from './api';

/** Holding `j` down walks through alerts; only the one where the finger stops is read. */
const settleMs = 80;
/** While somebody still has to be told, the deliveries are read again this often. */
const deliveryMs = 5000;

export class Opened {
  id = $state<string | null>(null);
  alert = $state.raw<Alert | Row | null>(null);
  /** Evidence and deliveries are not here yet. */
  loading = $state(false);
  error = $state.raw<unknown>(null);

  #api: Api;
  #reading = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  open(id: string | null, known: Row | null): void {
    if (id === this.id) return;
    this.#stop();
    this.id = id;
    this.alert = known;
    this.error = null;
    this.loading = id !== null;
    if (id !== null) this.#timer = setTimeout(() => void this.read(), known ? settleMs : 0);
  }

  /** A newer revision came by the stream. */
  revised(row: Row): void {
    if (row.id !== this.id || (this.alert?.revision ?? 0) >= row.revision) return;
    this.#stop();
    this.alert = { ...this.alert, ...row };
    this.#timer = setTimeout(() => void this.read(), settleMs);
  }

  async read(): Promise<void> {
    const id = this.id;
    if (id === null) return;
    this.#stop();
    const { signal } = this.#reading;
    try {
      const alert = await this.#api.alert(id, signal);
      if (signal.aborted) return;
      this.alert = alert;
      this.error = null;
      const waiting = alert.deliveries?.some((delivery) => delivery.state === 'queued');
      if (waiting) this.#timer = setTimeout(() => void this.read(), deliveryMs);
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.loading = false;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#reading.abort();
    this.#reading = new AbortController();
  }
}
