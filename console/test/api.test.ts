import { describe, expect, test, vi } from 'vitest';
import { ApiError, connect, parse } from '../src/lib/api';
import { everything } from '../src/lib/filter';

const never = new AbortController().signal;

function server(answer: () => Promise<Response>, token: string | null = null) {
  const asked: { address: string; headers: Record<string, string> }[] = [];
  const unauthorised = vi.fn();
  const api = connect({
    base: '',
    token: () => token,
    fetch: (async (address: string, request: RequestInit) => {
      asked.push({ address, headers: request.headers as Record<string, string> });
      return answer();
    }) as typeof fetch,
    unauthorised,
  });
  return { api, asked, unauthorised };
}

const json = (body: unknown, status = 200, headers = {}) => async () =>
  new Response(JSON.stringify(body), { status, headers });

async function failure(running: Promise<unknown>): Promise<ApiError> {
  const error = await running.catch((caught: unknown) => caught);
  if (!(error instanceof ApiError)) throw new Error('an ApiError was expected');
  return error;
}

describe('the API client', () => {
  test('asks for a page with its filter, and for the next one', async () => {
    const { api, asked } = server(json({ alerts: [], next: null }));
    await api.alerts(everything, null, never);
    await api.alerts({ severities: ['critical', 'high'], text: ' a&b ' }, 'c/1', never);
    expect(asked.map((each) => each.address)).toEqual([
      'api/v1/alerts?limit=50',
      'api/v1/alerts?limit=50&severity=critical,high&q=a%26b&after=c%2F1',
    ]);
  });

  test('keeps an id inside its place in the path', async () => {
    const { api, asked } = server(json({}));
    await api.alert('../status', never);
    expect(asked[0]?.address).toBe('api/v1/alerts/..%2Fstatus');
  });

  test('sends the token, and the last id only where there is one', async () => {
    const { api, asked } = server(json({}), 'secret');
    await api.stream('', never);
    await api.stream('12', never);
    expect(asked[0]?.headers).toEqual({ Accept: 'text/event-stream', Authorization: 'Bearer secret' });
    expect(asked[1]?.headers['Last-Event-ID']).toBe('12');
  });

  test('passes on what the server says is wrong and what to do', async () => {
    const { api } = server(json({ code: 'not_found', message: 'no such alert', hint: 'look elsewhere' }, 404));
    expect(await failure(api.alert('x', never))).toMatchObject({
      status: 404,
      code: 'not_found',
      message: 'no such alert',
      hint: 'look elsewhere',
    });
  });

  test('has a hint of its own when a proxy answers', async () => {
    const { api } = server(async () => new Response('<html>', { status: 502, headers: { 'Retry-After': '3' } }));
    const error = await failure(api.status(never));
    expect(error).toMatchObject({ status: 502, retryAfterMs: 3000 });
    expect(error.hint).not.toBe('');
    const page = server(async () => new Response('<html>'));
    expect((await failure(page.api.status(never))).code).toBe('not_json');
  });

  test('asks for the token on 401', async () => {
    const { api, unauthorised } = server(json({}, 401));
    await failure(api.status(never));
    expect(unauthorised).toHaveBeenCalledOnce();
  });

  test('tells a dead server from a question that we took back', async () => {
    const dead = server(async () => Promise.reject(new TypeError('refused')));
    expect(await failure(dead.api.status(never))).toMatchObject({ status: 0, code: 'unreachable' });

    const taken = AbortSignal.abort();
    const { api } = server(async () => Promise.reject(taken.reason as Error));
    expect(await api.status(taken).catch((error: unknown) => error)).not.toBeInstanceOf(ApiError);
  });

  // The browsers of today hand the digits to a reviver; older engines round, and nothing can be done.
  const exact = 'rawJSON' in JSON;
  test.skipIf(!exact)('keeps every digit of a long id', () => {
    expect(JSON.stringify(parse('{"id":12345678901234567890}'))).toBe('{"id":12345678901234567890}');
  });

  test('leaves ordinary values as they are', () => {
    expect(parse('{"a":[1,2.5,"x",null,true]}')).toEqual({ a: [1, 2.5, 'x', null, true] });
  });
});
