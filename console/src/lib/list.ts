// The order of the list and how live rows enter it.

import type { Row } from './alert';

/** Rows kept on the page; older ones are let go, and the page says so. */
export const rowsMax = 2000;

/**
 * Puts `incoming` into `rows`: a known id is replaced only by a higher revision, so a slow page never undoes
 * what the stream has already told. Newest event first; a revision does not move its row.
 */
export function merge(rows: readonly Row[], incoming: readonly Row[]): Row[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of incoming) {
    const known = byId.get(row.id);
    if (!known || known.revision < row.revision) byId.set(row.id, row);
  }
  return [...byId.values()].sort(newestFirst);
}

// Times of one fixed form, RFC 3339 UTC with microseconds, compare as text.
function newestFirst(a: Row, b: Row): number {
  if (a.time !== b.time) return a.time < b.time ? 1 : -1;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/** The id `step` rows away from `id`; stays inside the list, and starts at its top. */
export function neighbour(rows: readonly Row[], id: string | null, step: number): string | null {
  const here = rows.findIndex((row) => row.id === id);
  if (here < 0) return rows[0]?.id ?? null;
  const there = Math.min(Math.max(here + step, 0), rows.length - 1);
  return rows[there]?.id ?? null;
}
