// Times as people read them. The API speaks RFC 3339 UTC with microseconds; a `Date` keeps only milliseconds, so
// the fraction is carried over as text.

export type Zone = 'utc' | 'local';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number) => String(value).padStart(2, '0');

/** Minutes east of UTC at that moment; 0 in `utc`. */
export function offsetAt(time: Date, zone: Zone): number {
  // `0 -` and not a minus sign: -0 would be printed as "-00:00".
  return zone === 'utc' ? 0 : 0 - time.getTimezoneOffset();
}

// Shifting the clock and reading it as UTC keeps all arithmetic free of the machine's own zone.
function shifted(time: Date, offset: number): Date {
  return new Date(time.getTime() + offset * 60_000);
}

/** For a list: `09:14:03` today, `20 Nov 09:14:03` this year, `20 Nov 2025 09:14` before. */
export function short(iso: string, now: Date, zone: Zone): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const at = shifted(time, offsetAt(time, zone));
  const today = shifted(now, offsetAt(now, zone));
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  const seconds = two(at.getUTCSeconds());
  const day = `${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
  if (at.getUTCFullYear() !== today.getUTCFullYear()) return `${day} ${at.getUTCFullYear()} ${clock}`;
  const sameDay = at.getUTCMonth() === today.getUTCMonth() && at.getUTCDate() === today.getUTCDate();
  return sameDay ? `${clock}:${seconds}` : `${day} ${clock}:${seconds}`;
}

/** Everything, to paste into a report: `2026-11-20 09:14:03.000250 UTC`, or `… +01:00`. */
export function full(iso: string, zone: Zone): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : at(iso, offsetAt(time, zone), zone === 'utc');
}

/** The moment `iso` on a clock `offset` minutes east of UTC. */
export function at(iso: string, offset: number, utc: boolean): string {
  const text = shifted(new Date(iso), offset).toISOString();
  const fraction = (/\.(\d+)/.exec(iso)?.[1] ?? '').replace(/0+$/, '');
  const away = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${text.slice(0, 10)} ${text.slice(11, 19)}${fraction ? `.${fraction}` : ''} ${utc ? 'UTC' : away}`;
}

const units: [name: string, seconds: number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** A length in its two largest units: `9 min 58 s`. */
export function length(seconds: number): string {
  const whole = Math.round(Math.abs(seconds));
  if (whole === 0) return seconds === 0 ? '0 s' : 'under 1 s';
  const first = units.findIndex(([, size]) => whole >= size);
  const parts: string[] = [];
  let rest = whole;
  for (const [name, size] of units.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${amount} ${name}`);
  }
  return parts.join(' ');
}

export function between(from: string, to: string): string {
  return length((Date.parse(to) - Date.parse(from)) / 1000);
}

/** How long ago, in one unit: `3 min ago`; a time still to come is `just now`. */
export function ago(iso: string, now: Date): string {
  const seconds = Math.floor((now.getTime() - Date.parse(iso)) / 1000);
  if (!(seconds >= 5)) return 'just now';
  const [name, size] = units.find(([, each]) => seconds >= each) ?? ['s', 1];
  return `${Math.floor(seconds / size)} ${name} ago`;
}
