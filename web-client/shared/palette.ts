// The eight hues of pilots, each with a wing mark, and the night palette that the arena draws with.
//
// Hues have equal lightness (OKLCH 0.75), so none stands out by brightness; two that look alike with a colour-vision
// deficiency still differ by mark. The index of a hue is what the wire carries: never reorder.

/** Marks are drawn as SVG paths in a box from -1 to 1. */
export interface Hue {
  readonly name: string;
  readonly css: string;
  /** For people who cannot see it. */
  readonly mark: string;
  readonly path: string;
}

const CIRCLE = 'M-.8 0a.8 .8 0 1 0 1.6 0a.8 .8 0 1 0 -1.6 0Z';

export const HUES: readonly Hue[] = [
  { name: 'Poppy', css: '#fc8379', mark: 'disc', path: CIRCLE },
  { name: 'Amber', css: '#e79d42', mark: 'bar', path: 'M-.32 -.95H.32V.95H-.32Z' },
  { name: 'Straw', css: '#bfb037', mark: 'chevron', path: 'M-.9 -.85H-.25L.75 0L-.25 .85H-.9L.1 0Z' },
  { name: 'Fern', css: '#75c47d', mark: 'cross', path: 'M-.27 -.85H.27V-.27H.85V.27H.27V.85H-.27V.27H-.85V-.27H-.27Z' },
  { name: 'Lagoon', css: '#3ac3bf', mark: 'ring', path: `${CIRCLE}M-.38 0a.38 .38 0 1 1 .76 0a.38 .38 0 1 1 -.76 0Z` },
  { name: 'Sky', css: '#51b6ee', mark: 'triangle', path: 'M.9 0L-.7 .85V-.85Z' },
  { name: 'Iris', css: '#aba4f8', mark: 'two bars', path: 'M-.7 -.9H-.2V.9H-.7ZM.2 -.9H.7V.9H.2Z' },
  { name: 'Orchid', css: '#e487c5', mark: 'diamond', path: 'M0 -.95L.8 0L0 .95L-.8 0Z' },
];

export const NIGHT = {
  ground: '#12202b',
  ink: '#f2ebdd',
  quiet: '#8fa3ae',
  line: '#2a4352',
  accent: '#ff7a4d',
  good: '#6bc49a',
  waiting: '#f0b94a',
  trouble: '#ff6b5e',
} as const;

/** The hue of an index from outside; anything unknown is the first. */
export function hueOf(index: number): Hue {
  return HUES[index] ?? (HUES[0] as Hue);
}
