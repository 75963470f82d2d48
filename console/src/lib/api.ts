// The typed client of `/api/v1`. Paths are relative to the page, so a proxy may put Lapwing under any prefix.

import type { Alert, Row } from './alert';
import type { Filter } from './filter';
import type { Status } from './status';

export interface Page {
  alerts: Row[];
  next: string | null;
}

/** A refusal or a failure, with what to do about it. `status` 0: no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    /** How long the server asked us to wait, from `Retry-After`. */
    readonly retryAfterMs = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface Api {
  alerts(filter: Filter, after: string | null, signal: AbortSignal): Promise<Page>;
  alert(id: string, signal: AbortSignal): Promise<Alert>;
  status(signal: AbortSignal): Promise<Status>;
  /** The open live stream, or an `ApiError`. An empty `lastId` starts at now. */
  stream(lastId: string, signal: AbortSignal): Promise<Response>;
}

export const pageSize = 50;
/** A read that takes longer has failed, as far as a person who waits is concerned. */
const readLimitMs = 15_000;

export interface Connection {
  /** What comes before `api/v1`; empty in the browser. */
  base: string;
  token(): string | null;
  fetch: typeof fetch;
  /** Called on each 401, so that one place asks for the token. */
  unauthorised(): void;
}

export function connect(connection: Connection): Api {
  const { base, fetch } = connection;

  async function request(path: string, signal: AbortSignal, headers: Record<string, string>) {
    const token = connection.token();
    if (token) headers['Authorization'] = `Bearer ${token}`;
    let response: Response;
    try {
      response = await fetch(`${base}api/v1/${path}`, { headers, signal, cache: 'no-store' });
    } catch (cause) {
      throw unreachable(cause, signal);
    }
    if (response.ok) return response;
    if (response.status === 401) connection.unauthorised();
    throw await refusal(response);
  }

  async function read<T>(path: string, signal: AbortSignal): Promise<T> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(readLimitMs)]);
    const response = await request(path, limited, { Accept: 'application/json' });
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(cause, signal);
    });
    return parse(text) as T;
  }

  return {
    alerts: (filter, after, signal) => read<Page>(`alerts?${query(filter, after)}`, signal),
    alert: (id, signal) => read<Alert>(`alerts/${encodeURIComponent(id)}`, signal),
    status: (signal) => read<Status>('status', signal),
    stream(lastId, signal) {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (lastId) headers['Last-Event-ID'] = lastId;
      return request('alerts/stream', signal, headers);
    },
  };
}

function query(filter: Filter, after: string | null): string {
  const parameters = new URLSearchParams({ limit: String(pageSize) });
  if (filter.severities.length > 0) parameters.set('severity', filter.severities.join(','));
  if (filter.text.trim()) parameters.set('q', filter.text.trim());
  if (after) parameters.set('after', after);
  // Commas are allowed in a query; keeping them makes the address readable in a log.
  return parameters.toString().replaceAll('%2C', ',');
}

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;
type ExactJson = { parse(text: string, reviver: Reviver): unknown; rawJSON?(text: string): unknown };

/** JSON with whole numbers kept digit by digit where the browser can: a rounded id is wrong evidence. */
export function parse(text: string): unknown {
  const json = JSON as unknown as ExactJson;
  try {
    return json.parse(text, (_key, value, context) => {
      const rounded = Number.isInteger(value) && !Number.isSafeInteger(value);
      return rounded && context?.source && json.rawJSON ? json.rawJSON(context.source) : value;
    });
  } catch {
    throw new ApiError(
      200,
      'not_json',
      'The answer is not JSON.',
      'Something between this page and Lapwing answers in its place. Check the proxy or the address.',
    );
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as Partial<Record<string, string>> | null;
  const wait = Number(response.headers.get('Retry-After') ?? 0) * 1000;
  return new ApiError(
    response.status,
    body?.['code'] ?? 'http_error',
    body?.['message'] ?? `The server answered ${response.status}.`,
    body?.['hint'] ?? hintFor(response.status),
    Number.isFinite(wait) ? wait : 0,
  );
}

function hintFor(status: number): string {
  if (status === 401) return 'Enter the API token that stands in lapwing.yaml under api.token.';
  if (status === 404) return 'It may have been removed by retention, or the address is wrong.';
  if (status === 429) return 'Lapwing is busy. Wait a moment, then try again.';
  if (status >= 500) return 'Look at the log of Lapwing, then try again.';
  return 'Reload the page; if it stays, look at the log of Lapwing.';
}

function unreachable(cause: unknown, signal: AbortSignal): unknown {
  // Our own cancelling is not a failure to report.
  if (signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError') return cause;
  return new ApiError(
    0,
    'unreachable',
    'Lapwing does not answer.',
    'Check that the service runs (systemctl status lapwing) and that this machine reaches it.',
  );
}
