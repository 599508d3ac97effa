// Who is flying: call sign and hue, remembered where that is possible and carried in the link where it is not.
import { callSign, tidyCallSign } from './callsigns';
import { HUES } from './palette';
import type { Store } from './store';

export interface Me {
  name: string;
  hue: number;
}

/** What the fragment carries from the lobby to the room. */
export interface Arrival {
  ticket: string | undefined;
  /** That the room was made for this person. */
  host: string | undefined;
  name: string | undefined;
  hue: number | undefined;
}

/** The remembered pilot, or a new one with a call sign and a hue of its own. */
export function loadMe(store: Store, random: () => number = Math.random): Me {
  const hue = parseHue(store.get('hue')) ?? Math.min(HUES.length - 1, Math.floor(random() * HUES.length));
  const name = tidyCallSign(store.get('name') ?? '') || callSign(random);
  return { name, hue };
}

export function saveMe(store: Store, me: Me): void {
  store.set('name', me.name);
  store.set('hue', String(me.hue));
}

/** The fragment for the address to which the lobby lets us in; name and hue travel in it only if the browser remembers nothing. */
export function arrivalFragment({ ticket, host }: { ticket: string; host?: string }, me: Me, storeLasts: boolean): string {
  const fields = new URLSearchParams({ t: ticket });
  if (host !== undefined) fields.set('host', host);
  if (!storeLasts) {
    fields.set('n', me.name);
    fields.set('h', String(me.hue));
  }
  return `#${fields.toString()}`;
}

export function parseArrival(fragment: string): Arrival {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  return {
    ticket: fields.get('t') || undefined,
    host: fields.get('host') || undefined,
    name: tidyCallSign(fields.get('n') ?? '') || undefined,
    hue: parseHue(fields.get('h') ?? undefined),
  };
}

function parseHue(text: string | undefined): number | undefined {
  const hue = text === undefined ? Number.NaN : Number.parseInt(text, 10);
  return hue >= 0 && hue < HUES.length ? hue : undefined;
}
