import { describe, expect, test } from 'vitest';
import { action, type Place } from '../src/lib/keys';

const press = (key: string, with_: Partial<{ ctrlKey: boolean; metaKey: boolean; altKey: boolean }> = {}) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...with_,
});
const at = (place: Place, key: string, letters = true) => action(press(key), place, letters);

describe('keys', () => {
  test('letters and arrows walk through the list', () => {
    expect(at('page', 'j')).toEqual({ do: 'move', step: 1 });
    expect(at('control', 'k')).toEqual({ do: 'move', step: -1 });
    expect(at('page', 'ArrowDown')).toEqual({ do: 'move', step: 1 });
  });

  test('typing a search types', () => {
    for (const key of ['j', '/', '1', '?', 'u']) expect(at('text', key)).toBeNull();
    for (const key of ['Escape', 'Enter', 'ArrowDown']) expect(at('text', key)).toEqual({ do: 'leave-search' });
  });

  test('reading an alert, arrows scroll and letters still move', () => {
    expect(at('alert', 'ArrowDown')).toBeNull();
    expect(at('alert', 'j')).toEqual({ do: 'move', step: 1 });
    expect(at('alert', 'Escape')).toEqual({ do: 'close' });
  });

  test('Enter belongs to the control that has the focus', () => {
    expect(at('control', 'Enter')).toBeNull();
    expect(at('alert', 'Enter')).toBeNull();
    expect(at('page', 'Enter')).toEqual({ do: 'open' });
  });

  test('digits are severities', () => {
    expect(at('page', '1')).toEqual({ do: 'severity', severity: 'critical' });
    expect(at('page', '5')).toEqual({ do: 'severity', severity: 'informational' });
    expect(at('page', '6')).toBeNull();
    expect(at('page', '0')).toEqual({ do: 'all' });
  });

  test('shortcuts of the browser stay its own', () => {
    expect(action(press('r', { ctrlKey: true }), 'page', true)).toBeNull();
    expect(action(press('k', { metaKey: true }), 'page', true)).toBeNull();
  });

  test('letters can be switched off, arrows and Escape stay', () => {
    expect(at('page', 'j', false)).toBeNull();
    expect(at('page', '?', false)).toBeNull();
    expect(at('page', 'ArrowUp', false)).toEqual({ do: 'move', step: -1 });
    expect(at('page', 'Escape', false)).toEqual({ do: 'close' });
  });
});
