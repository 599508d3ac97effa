// Call signs: the one offered to a newcomer, and what a typed one is cut to.
import { NAME_MAX_BYTES } from './generated/protocol';

const FIRST = [
  'Amber', 'Brisk', 'Calm', 'Copper', 'Distant', 'Early', 'Gentle', 'Golden', 'High', 'Lucky', 'Merry', 'Northern',
  'Paper', 'Patient', 'Quiet', 'Quick', 'Scarlet', 'Silver', 'Southern', 'Sunny', 'Swift', 'Tall', 'Velvet', 'Wild',
] as const;

const SECOND = [
  'Albatross', 'Avocet', 'Cirrus', 'Comet', 'Curlew', 'Falcon', 'Gannet', 'Harrier', 'Heron', 'Kestrel', 'Kite',
  'Lark', 'Martin', 'Merlin', 'Osprey', 'Petrel', 'Plover', 'Skua', 'Sparrow', 'Starling', 'Swallow', 'Swift', 'Tern',
  'Wren',
] as const;

/** A call sign such as “Quiet Heron”; `random` gives numbers in 0..1. */
export function callSign(random: () => number = Math.random): string {
  const first = pick(FIRST, random);
  const rest = SECOND.filter((word) => word !== first);
  return `${first} ${pick(rest, random)}`;
}

/** What a person typed, as a call sign: no control characters, single spaces, not too long; empty if nothing is left. */
export function tidyCallSign(typed: string): string {
  const clean = typed.replace(/\p{C}/gu, '').replace(/\s+/gu, ' ').trim();
  return cutBytes(clean, NAME_MAX_BYTES).trim();
}

/** The longest beginning of a text that fits into so many bytes of UTF-8, whole characters only. */
export function cutBytes(text: string, maxBytes: number): string {
  const encoder = new TextEncoder();
  let bytes = 0;
  let kept = '';
  for (const character of text) {
    bytes += encoder.encode(character).length;
    if (bytes > maxBytes) break;
    kept += character;
  }
  return kept;
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.min(list.length - 1, Math.floor(random() * list.length))] as T;
}
