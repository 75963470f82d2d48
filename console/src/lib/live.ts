// The live stream: follows `/alerts/stream`, comes back after every break, and resumes after the last id it saw.
// Streaming through fetch and not EventSource, because EventSource cannot send a token.

import type { Row } from './alert';
import { ApiError } from './api';
import { Parser, type Message } from './sse';

export type Link =
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'reconnecting'; waitMs: number; cause: string }
  /** Only a person can help: the token is missing or wrong. */
  | { state: 'stopped' };

export interface Follow {
  open(lastId: string, signal: AbortSignal): Promise<Response>;
  onLink(link: Link): void;
  onAlert(row: Row): void;
  /** The stream could not say what was missed, so the list has to be read again. */
  onGap(): void;
  signal: AbortSignal;
  /** Sleeps, but ends early when there is a reason to try at once. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  random(): number;
}

const firstWaitMs = 500;
const longestWaitMs = 30_000;
/** The server sends a comment every 15 s; three missed ones mean that the connection is dead, not quiet. */
export const silenceMaxMs = 45_000;

/** Doubling waits, the second half of each by chance so that many consoles do not come back at once. */
export function backoff(failures: number, random: number): number {
  const whole = Math.min(firstWaitMs * 2 ** (failures - 1), longestWaitMs);
  return Math.round(whole / 2 + (whole / 2) * random);
}

/** Runs until `signal` is aborted or the server refuses us. */
export async function follow(options: Follow): Promise<void> {
  const { signal } = options;
  let lastId = '';
  let failures = 0;
  let floorMs = 0;
  options.onLink({ state: 'connecting' });

  while (!signal.aborted) {
    let cause = 'the server ended the stream';
    let askedMs = 0;
    try {
      const response = await options.open(lastId, signal);
      options.onLink({ state: 'live' });
      if (lastId === '') options.onGap();
      const parser = new Parser(lastId);
      for await (const messages of read(response, parser, signal)) {
        failures = 0;
        lastId = parser.lastId;
        floorMs = parser.retryMs ?? floorMs;
        for (const message of messages) handle(message, options);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) {
        options.onLink({ state: 'stopped' });
        return;
      }
      cause = error instanceof Error ? error.message : String(error);
      askedMs = error instanceof ApiError ? error.retryAfterMs : 0;
    }
    if (signal.aborted) return;
    failures += 1;
    const waitMs = Math.max(backoff(failures, options.random()), floorMs, askedMs);
    options.onLink({ state: 'reconnecting', waitMs, cause });
    await options.wait(waitMs, signal);
  }
}

function handle(message: Message, options: Follow): void {
  if (message.event === 'reset') {
    options.onGap();
    return;
  }
  if (message.event !== 'alert') return;
  let row: Row;
  try {
    row = JSON.parse(message.data) as Row;
  } catch {
    // One unreadable message must not end the stream, nor be lost: reading the list again shows that alert.
    options.onGap();
    return;
  }
  options.onAlert(row);
}

async function* read(response: Response, parser: Parser, signal: AbortSignal): AsyncGenerator<Message[]> {
  if (!response.body) throw new Error('the server sent no stream');
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    while (!signal.aborted) {
      const { done, value } = await withinSilence(reader.read());
      if (done) return;
      yield parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // The connection may be dead already; letting go of it must not hide why.
    await reader.cancel().catch(() => undefined);
  }
}

async function withinSilence<T>(reading: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the stream fell silent')), silenceMaxMs);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits in the browser: coming back online, or back to this tab, is a reason to try at once. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const finish = () => {
      over.abort();
      resolve();
    };
    const timer = setTimeout(finish, ms);
    over.signal.addEventListener('abort', () => clearTimeout(timer));
    signal.addEventListener('abort', finish, { signal: over.signal });
    addEventListener('online', finish, { signal: over.signal });
    document.addEventListener('visibilitychange', finish, { signal: over.signal });
  });
}
