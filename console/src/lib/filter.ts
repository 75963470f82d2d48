// What the list is narrowed to. The server filters pages; the same question is asked here of live rows.

import { searchable, severities, type Row, type Severity } from './alert';

export interface Filter {
  /** Empty means all. */
  severities: Severity[];
  text: string;
}

export const everything: Filter = { severities: [], text: '' };

/** Every word must occur somewhere in the row, whatever its case. */
export function matches(filter: Filter, row: Row): boolean {
  if (filter.severities.length > 0 && !filter.severities.includes(row.severity)) return false;
  const wanted = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return true;
  const text = searchable(row);
  return wanted.every((word) => text.includes(word));
}

/** The filter with one severity switched on or off, in the usual order. */
export function toggle(filter: Filter, severity: Severity): Filter {
  const on = new Set(filter.severities);
  if (!on.delete(severity)) on.add(severity);
  return { ...filter, severities: severities.filter((each) => on.has(each)) };
}

export function isEmpty(filter: Filter): boolean {
  return filter.severities.length === 0 && filter.text.trim() === '';
}
