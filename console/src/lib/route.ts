// The address after `#`: which alert is open and what the list is narrowed to, so that a reload or a shared
// address shows the same page.

import { severities } from './alert';
import type { Filter } from './filter';

export interface Route {
  alert: string | null;
  filter: Filter;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const parameters = new URLSearchParams(query);
  const wanted = (parameters.get('severity') ?? '').split(',');
  return {
    alert: alertIn(path),
    filter: {
      severities: severities.filter((each) => wanted.includes(each)),
      text: parameters.get('q') ?? '',
    },
  };
}

function alertIn(path: string): string | null {
  const found = /^\/alerts\/([^/]+)$/.exec(path)?.[1];
  if (!found) return null;
  try {
    return decodeURIComponent(found);
  } catch {
    return null;
  }
}

export function formatRoute(route: Route): string {
  const parameters = new URLSearchParams();
  if (route.filter.severities.length > 0) parameters.set('severity', route.filter.severities.join(','));
  if (route.filter.text) parameters.set('q', route.filter.text);
  const query = parameters.toString().replaceAll('%2C', ',');
  const path = route.alert ? `/alerts/${encodeURIComponent(route.alert)}` : '/';
  return `#${path}${query ? `?${query}` : ''}`;
}

/** The address to send to a colleague: the alert alone, not my filter. */
export function permalink(id: string, page: string): string {
  return `${page.split('#', 1)[0]}#/alerts/${encodeURIComponent(id)}`;
}
