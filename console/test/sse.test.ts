import { describe, expect, test } from 'vitest';
import { Parser } from '../src/lib/sse';

const stream = 'retry: 2000\n: a comment\n\nevent: alert\nid: 7\ndata: {"a":\ndata: 1}\n\nevent: alert\r\nid:8\r\ndata:two\r\n\r\n';

function read(chunks: string[]) {
  const parser = new Parser('');
  return { messages: chunks.flatMap((chunk) => parser.push(chunk)), parser };
}

describe('the stream parser', () => {
  test('reads the same messages wherever the bytes are cut', () => {
    const whole = read([stream]).messages;
    expect(whole).toEqual([
      { event: 'alert', id: '7', data: '{"a":\n1}' },
      { event: 'alert', id: '8', data: 'two' },
    ]);
    for (let cut = 1; cut < stream.length; cut += 1) {
      expect(read([stream.slice(0, cut), stream.slice(cut)]).messages, `cut at ${cut}`).toEqual(whole);
    }
    expect(read([...stream]).messages).toEqual(whole);
  });

  test('keeps the wait and the last id that the server gave', () => {
    const { parser } = read([stream]);
    expect(parser.retryMs).toBe(2000);
    expect(parser.lastId).toBe('8');
  });

  test('takes an id that comes without data', () => {
    const { messages, parser } = read(['id: 41\n\n']);
    expect(messages).toEqual([]);
    expect(parser.lastId).toBe('41');
  });

  test('does not hand out a message before its empty line', () => {
    expect(read(['data: half\n']).messages).toEqual([]);
  });

  test('refuses a message without end', () => {
    const parser = new Parser('');
    const chunk = 'x'.repeat(1024 * 1024);
    expect(() => {
      for (let count = 0; count < 9; count += 1) parser.push(chunk);
    }).toThrow('too long');
  });
});
