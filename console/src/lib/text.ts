// Values from logs are written by attackers. Svelte escapes markup; this shows what the eye cannot see.

// Controls, soft hyphen, zero width, bidi marks and overrides, line separators, tag letters.
const unseen =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line in which every hidden character is visible, such as `\u202e` (which turns text around). */
export function visible(value: unknown): string {
  return asText(value).replace(unseen, escape);
}

/** The same for text of many lines. */
export function visibleLines(value: string): string {
  return value.replace(unseen, (letter) => (letter === '\n' ? letter : escape(letter)));
}

function escape(letter: string): string {
  return named[letter] ?? `\\u${(letter.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : (JSON.stringify(value) ?? '');
}

const groups = new Intl.NumberFormat('en');

/** `12,345`. */
export function number(value: number): string {
  return groups.format(value);
}
