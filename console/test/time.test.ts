import { describe, expect, test } from 'vitest';
import { ago, at, between, full, length, short } from '../src/lib/time';

const now = new Date('2026-11-20T12:00:00Z');

describe('times', () => {
  test('a list shows only as much of the date as is needed', () => {
    expect(short('2026-11-20T09:14:03.000250Z', now, 'utc')).toBe('09:14:03');
    expect(short('2026-11-09T23:59:59Z', now, 'utc')).toBe('9 Nov 23:59:59');
    expect(short('2025-11-20T09:14:03Z', now, 'utc')).toBe('20 Nov 2025 09:14');
  });

  test('a report keeps every digit that was logged', () => {
    expect(full('2026-11-20T09:14:03.000250Z', 'utc')).toBe('2026-11-20 09:14:03.00025 UTC');
    expect(full('2026-11-20T09:14:03.000000Z', 'utc')).toBe('2026-11-20 09:14:03 UTC');
  });

  test('other zones may change the day and have half hours', () => {
    expect(at('2026-11-20T22:14:03.5Z', 330, false)).toBe('2026-11-21 03:44:03.5 +05:30');
    expect(at('2026-11-20T01:00:00Z', -210, false)).toBe('2026-11-19 21:30:00 -03:30');
  });

  test('what is no time is shown as it came', () => {
    expect(short('soon', now, 'utc')).toBe('soon');
    expect(full('soon', 'local')).toBe('soon');
  });

  test.each([
    [0, '0 s'],
    [0.4, 'under 1 s'],
    [59, '59 s'],
    [132, '2 min 12 s'],
    [3600, '1 h'],
    [3659, '1 h'],
    [90_061, '1 d 1 h'],
  ])('%d seconds are %s', (seconds, words) => expect(length(seconds)).toBe(words));

  test('a span is told from its two ends', () => {
    expect(between('2026-11-20T09:14:03Z', '2026-11-20T09:24:01Z')).toBe('9 min 58 s');
  });

  test('how long ago is one unit, and never in the future', () => {
    expect(ago('2026-11-20T11:57:01Z', now)).toBe('2 min ago');
    expect(ago('2026-11-17T11:57:01Z', now)).toBe('3 d ago');
    expect(ago('2026-11-20T12:30:00Z', now)).toBe('just now');
  });
});
