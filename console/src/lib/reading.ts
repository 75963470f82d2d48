// What nearly every part of the page needs to know about its reader, handed down without being passed along.

import { createContext } from 'svelte';
import type { Pulse } from './pulse.svelte';
import type { Session } from './session.svelte';

export interface Reading {
  session: Session;
  pulse: Pulse;
}

export const [useReading, setReading] = createContext<Reading>();
