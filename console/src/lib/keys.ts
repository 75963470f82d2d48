// Which key does what, and where. Pure, so that the whole table is tested without a page.

import { severities, type Severity } from './alert';

export type Action =
  | { do: 'move'; step: number }
  | { do: 'open' | 'close' | 'search' | 'leave-search' | 'help' | 'zone' | 'evidence' | 'link' | 'all' | 'reload' }
  | { do: 'severity'; severity: Severity };

/** Where the keyboard is: typing, on a control that has its own Enter, reading the alert, or anywhere else. */
export type Place = 'text' | 'control' | 'alert' | 'page';

export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What the help shows; `keys` are the caps a person sees. */
export const help: { keys: string[]; does: string }[] = [
  { keys: ['j', '↓'], does: 'Next alert' },
  { keys: ['k', '↑'], does: 'Previous alert' },
  { keys: ['g'], does: 'Newest alert' },
  { keys: ['Enter'], does: 'Open the alert' },
  { keys: ['Esc'], does: 'Close the alert, leave the search' },
  { keys: ['/'], does: 'Search' },
  { keys: ['1', '…', '5'], does: 'Show critical … informational' },
  { keys: ['0'], does: 'Show all' },
  { keys: ['e'], does: 'Open or close all evidence' },
  { keys: ['y'], does: 'Copy the link to the alert' },
  { keys: ['u'], does: 'Switch between UTC and local time' },
  { keys: ['r'], does: 'Read the list again' },
  { keys: ['?'], does: 'These keys' },
];

const letters: Record<string, Action> = {
  j: { do: 'move', step: 1 },
  k: { do: 'move', step: -1 },
  g: { do: 'move', step: -Infinity },
  '/': { do: 'search' },
  '0': { do: 'all' },
  e: { do: 'evidence' },
  y: { do: 'link' },
  u: { do: 'zone' },
  r: { do: 'reload' },
  '?': { do: 'help' },
};

/** `letters_on` false leaves only keys that are no characters, for people who dictate or use a switch. */
export function action(press: Press, place: Place, lettersOn: boolean): Action | null {
  // Ctrl, Cmd and Alt belong to the browser.
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  if (place === 'text') return typing(press.key);
  if (press.key === 'Escape') return { do: 'close' };
  if (press.key === 'Enter') return place === 'page' ? { do: 'open' } : null;
  // Inside the alert the arrows scroll, as everywhere else.
  const arrows = place !== 'alert';
  if (arrows && press.key === 'ArrowDown') return { do: 'move', step: 1 };
  if (arrows && press.key === 'ArrowUp') return { do: 'move', step: -1 };
  if (!lettersOn) return null;
  const severity = severities[Number(press.key) - 1];
  return severity ? { do: 'severity', severity } : (letters[press.key] ?? null);
}

function typing(key: string): Action | null {
  return key === 'Escape' || key === 'ArrowDown' || key === 'Enter' ? { do: 'leave-search' } : null;
}
