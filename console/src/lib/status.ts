// How the service is: sources, sinks, counts of open alerts.

import type { Severity } from './alert';

export interface SourceStatus {
  name: string;
  kind: string;
  type: string;
  events: number;
  rejects: number;
  lag_seconds?: number;
  state: string;
}

export interface SinkStatus {
  name: string;
  type: string;
  queued: number;
  dead: number;
  state: string;
}

export interface Status {
  version: string;
  started: string;
  rules: number;
  sources: SourceStatus[];
  sinks: SinkStatus[];
  alerts: Partial<Record<Severity, number>>;
}

/** How a part looks at a glance. A word we do not know is worth a look, so it is not "good". */
export type Health = 'good' | 'quiet' | 'warning' | 'bad';

const byState: Record<string, Health> = {
  running: 'good',
  ok: 'good',
  idle: 'quiet',
  retrying: 'warning',
  paused: 'warning',
  failing: 'bad',
};

export function sourceHealth(source: SourceStatus): Health {
  return byState[source.state] ?? 'warning';
}

/** A sink that has given up on an alert is bad even if it works now: somebody was not told. */
export function sinkHealth(sink: SinkStatus): Health {
  return sink.dead > 0 ? 'bad' : (byState[sink.state] ?? 'warning');
}
