import { describe, expect, test } from 'vitest';
import { subject } from '../src/lib/alert';
import { matches, toggle } from '../src/lib/filter';
import { merge, neighbour } from '../src/lib/list';
import { formatRoute, parseRoute, permalink } from '../src/lib/route';
import { row } from './rows';

const received = (minute: number) => `2026-11-20T09:${String(minute).padStart(2, '0')}:00.000000Z`;
const rows = [3, 2, 1].map((minute) => row(`a${minute}`, { received: received(minute) }));

describe('the list', () => {
  test('puts new rows on top and a late page below', () => {
    const merged = merge(rows, [row('a0', { received: received(0) }), row('a9', { received: received(9) })]);
    expect(merged.map((each) => each.id)).toEqual(['a9', 'a3', 'a2', 'a1', 'a0']);
  });

  test('takes a higher revision in place and never a lower one', () => {
    const higher = row('a2', { received: received(2), revision: 4, count: 20 });
    const merged = merge(rows, [higher]);
    expect(merged.map((each) => each.id)).toEqual(['a3', 'a2', 'a1']);
    expect(merge(merged, [row('a2', { received: received(2) })])[1]?.count).toBe(20);
  });

  test('walks one by one and stays inside', () => {
    expect(neighbour(rows, null, 1)).toBe('a3');
    expect(neighbour(rows, 'a3', 1)).toBe('a2');
    expect(neighbour(rows, 'a1', 1)).toBe('a1');
    expect(neighbour(rows, 'a1', -Infinity)).toBe('a3');
    expect(neighbour([], 'a1', 1)).toBeNull();
  });

  test('asks every word of live rows, whatever the case', () => {
    const alert = row('x', { title: 'Logging stopped', key: { arn: 'role/ci-Deploy' }, network: { ip: '192.0.2.1' } });
    expect(matches({ severities: [], text: 'STOPPED ci-deploy' }, alert)).toBe(true);
    expect(matches({ severities: [], text: 'stopped nobody' }, alert)).toBe(false);
    expect(matches({ severities: ['critical'], text: '' }, alert)).toBe(false);
  });

  test('keeps severities in their order', () => {
    const both = toggle(toggle({ severities: [], text: '' }, 'high'), 'critical');
    expect(both.severities).toEqual(['critical', 'high']);
    expect(toggle(both, 'critical').severities).toEqual(['high']);
  });

  test('names the part of an ARN that differs', () => {
    expect(subject(row('x', { key: { a: 'arn:aws:iam::111122223333:role/ci/deploy' } }))).toBe('role/ci/deploy');
    expect(subject(row('x', { actor: { name: 'mara' } }))).toBe('mara');
  });
});

describe('the address', () => {
  test('survives going there and back', () => {
    const hash = '#/alerts/abc?severity=critical,high&q=a+%26+b';
    const route = parseRoute(hash);
    expect(route).toEqual({ alert: 'abc', filter: { severities: ['critical', 'high'], text: 'a & b' } });
    expect(formatRoute(route)).toBe(hash);
  });

  test('is not led astray by nonsense', () => {
    for (const hash of ['', '#', '#/', '#/alerts/', '#/alerts/%E0%A4', '#/nowhere?severity=all']) {
      expect(parseRoute(hash), hash).toEqual({ alert: null, filter: { severities: [], text: '' } });
    }
  });

  test('to send around holds the alert and nothing of mine', () => {
    expect(permalink('abc', 'https://soc.example/lapwing/#/?q=x')).toBe('https://soc.example/lapwing/#/alerts/abc');
  });
});
