// What belongs to this person at this browser: the token (until the tab is closed) and how they like to read.

import type { Zone } from './time';

const tokenName = 'lapwing.token';
const zoneName = 'lapwing.zone';
const lettersName = 'lapwing.letters';

export class Session {
  token = $state<string | null>(recall('session', tokenName));
  /** Whether the server asked for a token, and whether it had one and refused it. */
  asked = $state<'no' | 'missing' | 'refused'>('no');
  zone = $state<Zone>(recall('local', zoneName) === 'local' ? 'local' : 'utc');
  /** Single letters act as keys; can be switched off (WCAG 2.1.4). */
  letters = $state(recall('local', lettersName) !== 'off');

  unauthorised(): void {
    this.asked = this.token ? 'refused' : 'missing';
  }

  enter(token: string): void {
    this.token = token;
    this.asked = 'no';
    keep('session', tokenName, token);
  }

  forget(): void {
    this.token = null;
    this.asked = 'missing';
    keep('session', tokenName, null);
  }

  switchZone(): void {
    this.zone = this.zone === 'utc' ? 'local' : 'utc';
    keep('local', zoneName, this.zone);
  }

  setLetters(on: boolean): void {
    this.letters = on;
    keep('local', lettersName, on ? null : 'off');
  }
}

// Storage can be forbidden by the browser; the page then works and forgets.
function recall(where: 'session' | 'local', name: string): string | null {
  try {
    return (where === 'session' ? sessionStorage : localStorage).getItem(name);
  } catch {
    return null;
  }
}

function keep(where: 'session' | 'local', name: string, value: string | null): void {
  try {
    const storage = where === 'session' ? sessionStorage : localStorage;
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // As above.
  }
}
