import type { Row } from '../src/lib/alert';

/** An alert of which only what a test is about has to be said. */
export function row(id: string, said: Partial<Row> = {}): Row {
  return {
    id,
    rule: 'r',
    rule_version: 1,
    title: 'A title',
    severity: 'high',
    kind: 'json',
    time: '2026-11-20T09:14:03.000000Z',
    count: 1,
    revision: 1,
    state: 'open',
    received: '2026-11-20T09:15:00.000000Z',
    ...said,
  };
}
