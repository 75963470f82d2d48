// Evidence as coloured lines. Pure text in, tokens out; the page never makes markup from a log.

import { visibleLines } from './text';

export interface Token {
  kind: 'name' | 'string' | 'number' | 'word' | 'plain';
  text: string;
  /** The value is one that the alert names: its key, actor or address. */
  marked: boolean;
}

const pattern = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

export function pretty(event: unknown): string {
  return visibleLines(JSON.stringify(event, null, 2) ?? 'null');
}

/** The tokens of `text`, line by line. */
export function tokens(text: string, marks: ReadonlySet<string>): Token[][] {
  return text.split('\n').map((line) => lineTokens(line, marks));
}

function lineTokens(line: string, marks: ReadonlySet<string>): Token[] {
  const found: Token[] = [];
  let end = 0;
  for (const match of line.matchAll(pattern)) {
    if (match.index > end) found.push(plain(line.slice(end, match.index)));
    const [whole, quoted, colon, digits] = match;
    if (quoted !== undefined && colon !== undefined) {
      found.push({ kind: 'name', text: quoted, marked: false }, plain(colon));
    } else if (quoted !== undefined) {
      found.push({ kind: 'string', text: quoted, marked: marks.has(quoted.slice(1, -1)) });
    } else {
      found.push({ kind: digits === undefined ? 'word' : 'number', text: whole, marked: marks.has(whole) });
    }
    end = match.index + whole.length;
  }
  if (end < line.length) found.push(plain(line.slice(end)));
  return found;
}

function plain(text: string): Token {
  return { kind: 'plain', text, marked: false };
}

/** The values of an alert that are worth finding in its evidence, as they stand between quotes there. */
export function marksOf(alert: {
  key?: Record<string, unknown>;
  actor?: { id?: string };
  network?: { ip?: string };
  action?: string;
  target?: { id?: string };
}): Set<string> {
  const values = [...Object.values(alert.key ?? {}), alert.actor?.id, alert.network?.ip, alert.action, alert.target?.id];
  return new Set(values.filter((value) => value !== undefined && value !== '').map((value) => quoted(value)));
}

function quoted(value: unknown): string {
  return typeof value === 'string' ? visibleLines(JSON.stringify(value)).slice(1, -1) : String(value);
}
