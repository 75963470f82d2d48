import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Row } from '../src/lib/alert';
import { ApiError } from '../src/lib/api';
import { backoff, follow, silenceMaxMs, type Link } from '../src/lib/live';
import { row } from './rows';

type Answer = Response | ApiError;

const message = (id: number) => `event: alert\nid: ${id}\ndata: ${JSON.stringify(row(`a${id}`))}\n\n`;

function ending(...chunks: string[]): Response {
  const encoder = new TextEncoder();
  return new Response(
    new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
        controller.close();
      },
    }),
  );
}

/** Follows a server that gives these answers in turn, until they are used up. */
async function followed(answers: Answer[]) {
  const stop = new AbortController();
  const seen = { asked: [] as string[], links: [] as Link[], rows: [] as Row[], waits: [] as number[], gaps: 0 };
  await follow({
    open: async (lastId) => {
      seen.asked.push(lastId);
      const answer = answers.shift();
      if (!answer) throw new Error('more was asked than the test has answers');
      if (answer instanceof ApiError) throw answer;
      return answer;
    },
    onLink: (link) => seen.links.push(link),
    onAlert: (each) => seen.rows.push(each),
    onGap: () => (seen.gaps += 1),
    signal: stop.signal,
    wait: async (ms) => {
      seen.waits.push(ms);
      if (answers.length === 0) stop.abort();
    },
    random: () => 1,
  });
  return seen;
}

afterEach(() => void vi.useRealTimers());

describe('the live stream', () => {
  test('resumes after the last id it saw', async () => {
    const seen = await followed([ending(message(1), message(2)), ending(message(3))]);
    expect(seen.asked).toEqual(['', '2']);
    expect(seen.rows.map((each) => each.id)).toEqual(['a1', 'a2', 'a3']);
  });

  test('asks for the list again only when nothing tells what was missed', async () => {
    const resumed = await followed([ending(message(1)), ending(message(2))]);
    expect(resumed.gaps).toBe(1);
    const unknown = await followed([ending(), ending()]);
    expect(unknown.gaps).toBe(2);
    const reset = await followed([ending('id: 4\n\n', 'event: reset\ndata: {}\n\n')]);
    expect(reset.gaps).toBe(2);
  });

  test('waits longer after each failure and starts anew once it hears something', async () => {
    const down = () => new ApiError(0, 'unreachable', 'down', '');
    const seen = await followed([down(), down(), down(), ending(message(1)), down()]);
    expect(seen.waits).toEqual([500, 1000, 2000, 500, 1000]);
    expect(seen.links.filter((link) => link.state === 'live')).toHaveLength(1);
  });

  test('honours the wait that the server asks for', async () => {
    const busy = new ApiError(429, 'busy', 'busy', '', 7000);
    expect((await followed([busy])).waits).toEqual([7000]);
    expect((await followed([ending('retry: 4000\n\n')])).waits).toEqual([4000]);
  });

  test('stops and says so when the token is refused', async () => {
    const seen = await followed([new ApiError(401, 'unauthorised', 'no', '')]);
    expect(seen.links.at(-1)).toEqual({ state: 'stopped' });
    expect(seen.waits).toEqual([]);
  });

  test('survives a letter cut in two and a message that is no JSON', async () => {
    const bytes = new TextEncoder().encode(`id: 1\nevent: alert\ndata: ${JSON.stringify(row('x', { title: 'Å' }))}\n\n`);
    const cut = bytes.indexOf(0xc3) + 1;
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('event: alert\nid: 0\ndata: {no\n\n'));
        controller.enqueue(bytes.slice(0, cut));
        controller.enqueue(bytes.slice(cut));
        controller.close();
      },
    });
    const seen = await followed([new Response(body)]);
    expect(seen.rows.map((each) => each.title)).toEqual(['Å']);
    expect(seen.gaps).toBe(2);
  });

  test('takes long silence for a dead connection', async () => {
    vi.useFakeTimers();
    const running = followed([new Response(new ReadableStream())]);
    await vi.advanceTimersByTimeAsync(silenceMaxMs);
    expect((await running).links.at(-1)).toMatchObject({ state: 'reconnecting', cause: 'the stream fell silent' });
  });

  test('never waits longer than half a minute', () => {
    expect(backoff(1, 0)).toBe(250);
    expect(backoff(40, 1)).toBe(30_000);
  });
});
