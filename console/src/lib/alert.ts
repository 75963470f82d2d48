// What the API says about one alert. Absent values are left out, so all but the core is optional.

/** Most urgent first; the order in which people look. */
export const severities = ['critical', 'high', 'medium', 'low', 'informational'] as const;
export type Severity = (typeof severities)[number];

export interface Actor {
  id?: string;
  name?: string;
  type?: string;
}

export interface Network {
  ip?: string;
  user_agent?: string;
}

export interface Target {
  account?: string;
  region?: string;
  kind?: string;
  id?: string;
}

/** One row of the list: the canonical alert and where it stands. Times are RFC 3339 UTC. */
export interface Row {
  id: string;
  rule: string;
  rule_version: number;
  title: string;
  severity: Severity;
  kind: string;
  /** Event time of the crossing. */
  time: string;
  first?: string;
  last?: string;
  key?: Record<string, unknown>;
  count: number;
  event_ids?: string[];
  events_total?: number;
  why?: string;
  description?: string;
  runbook?: string;
  false_positives?: string[];
  tags?: string[];
  actor?: Actor;
  network?: Network;
  target?: Target;
  action?: string;
  revision: number;
  state: string;
  /** Wall time when it was first stored. */
  received: string;
  updated?: string;
}

export interface Evidence {
  uid: string;
  time: string;
  /** The vendor's own record, secrets redacted. */
  event: unknown;
}

export interface Delivery {
  sink: string;
  state: string;
  attempts: number;
  at?: string;
  answer?: string;
}

/** One alert with what it rests on and who was told. */
export interface Alert extends Row {
  evidence?: Evidence[];
  deliveries?: Delivery[];
}

const words: Record<Severity, string> = {
  critical: 'Crit',
  high: 'High',
  medium: 'Med',
  low: 'Low',
  informational: 'Info',
};

/** The four letters that fit a dense list; a word we do not know stays as it is. */
export function shortSeverity(severity: string): string {
  return words[severity as Severity] ?? severity;
}

/** The words a person might search for, in one lower-case line. */
export function searchable(row: Row): string {
  const parts = [row.id, row.title, row.kind, row.why, row.action, row.rule];
  parts.push(row.actor?.id, row.actor?.name, row.network?.ip, row.target?.id, row.target?.account);
  for (const value of Object.values(row.key ?? {})) parts.push(String(value));
  return [...parts, ...(row.tags ?? [])].filter(Boolean).join('\n').toLowerCase();
}

/** What the alert is about, short enough for a list: the values of its key, or else who acted. */
export function subject(row: Row): string {
  const values = Object.values(row.key ?? {});
  const shown = values.length > 0 ? values : [row.actor?.name ?? row.actor?.id ?? ''];
  return shown.map((value) => shortName(String(value))).join(' · ');
}

/** An ARN without its prefix: the part in which two of them differ. */
export function shortName(value: string): string {
  return /^arn:[^:]*:[^:]*:[^:]*:[^:]*:(.+)$/.exec(value)?.[1] ?? value;
}
