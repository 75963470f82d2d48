// The list of alerts: pages from the API, live rows on top, one order.

import type { Row } from './alert';
import type { Api } from './api';
import { everything, matches, type Filter } from './filter';
import { merge, rowsMax } from './list';
import { follow, pause, type Link } from './live';

/** Live rows are shown in groups, so that a storm of alerts redraws the page ten times a second and no more. */
const groupMs = 100;

export class Inbox {
  rows = $state.raw<Row[]>([]);
  filter = $state.raw<Filter>(everything);
  link = $state.raw<Link>({ state: 'connecting' });
  loading = $state<'list' | 'older' | null>('list');
  error = $state.raw<unknown>(null);
  /** Older rows were let go to keep the page fast. */
  cut = $state(false);
  /** Rows that came while somebody was watching, for a short mark and for the spoken notice. */
  arrived = $state.raw<ReadonlySet<string>>(new Set());
  /** The latest row from the stream, whatever the filter; the open alert listens to it. */
  latest = $state.raw<Row | null>(null);

  #next = $state<string | null>(null);
  #api: Api;
  #reading = new AbortController();
  #grouped: Row[] = [];
  #sinceRead: Row[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  get more(): boolean {
    return this.#next !== null && !this.cut;
  }

  /** Reads the list and follows the stream until the returned function is called. */
  start(): () => void {
    const stop = new AbortController();
    void this.read();
    void follow({
      open: (lastId, signal) => this.#api.stream(lastId, signal),
      onLink: (link) => {
        this.link = link;
        // The service is back: a list that could not be read can be now.
        if (link.state === 'live' && this.error) void this.read();
      },
      onAlert: (row) => this.#take(row),
      // The list is read after the stream is open, so nothing falls between the two.
      onGap: () => void this.read(),
      signal: stop.signal,
      wait: pause,
      random: Math.random,
    });
    return () => {
      stop.abort();
      this.#reading.abort();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  narrow(filter: Filter): void {
    this.filter = filter;
    void this.read();
  }

  /** Reads the newest page again; rows on the page stay until the answer is there. */
  async read(): Promise<void> {
    this.#reading.abort();
    const reading = (this.#reading = new AbortController());
    this.loading = 'list';
    this.#sinceRead = [];
    try {
      const page = await this.#api.alerts(this.filter, null, reading.signal);
      this.rows = merge(page.alerts, this.#sinceRead.filter((row) => matches(this.filter, row)));
      this.#next = page.next;
      this.cut = false;
      this.error = null;
      this.loading = null;
    } catch (error) {
      this.#failed(error, reading.signal);
    }
  }

  async readOlder(): Promise<void> {
    if (this.loading !== null || !this.more) return;
    const reading = (this.#reading = new AbortController());
    this.loading = 'older';
    try {
      const page = await this.#api.alerts(this.filter, this.#next, reading.signal);
      this.#show(merge(this.rows, page.alerts));
      this.#next = page.next;
      this.error = null;
      this.loading = null;
    } catch (error) {
      this.#failed(error, reading.signal);
    }
  }

  #failed(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.error = error;
    this.loading = null;
  }

  #take(row: Row): void {
    this.latest = row;
    this.#grouped.push(row);
    this.#timer ??= setTimeout(() => this.#showGroup(), groupMs);
  }

  #showGroup(): void {
    this.#timer = undefined;
    const group = this.#grouped;
    this.#grouped = [];
    if (this.loading === 'list') this.#sinceRead.push(...group);
    const shown = new Set(this.rows.map((row) => row.id));
    const wanted = group.filter((row) => shown.has(row.id) || matches(this.filter, row));
    const fresh = wanted.filter((row) => !shown.has(row.id)).map((row) => row.id);
    if (fresh.length > 0) this.arrived = new Set(fresh);
    this.#show(merge(this.rows, wanted));
  }

  #show(rows: Row[]): void {
    this.cut ||= rows.length > rowsMax;
    this.rows = rows.slice(0, rowsMax);
  }
}
