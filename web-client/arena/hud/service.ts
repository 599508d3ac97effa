// One small sentence while the server is too busy to serve everything, so that nobody blames the own line for it.

/** What is left out: 0 nothing, then ever more; slow: time itself runs slower. */
export interface Service {
  level: number;
  slow: boolean;
}

export const FULL_SERVICE: Service = { level: 0, slow: false };

/** The sentence for people; empty while service is full. */
export function serviceSentence({ level, slow }: Service): string {
  if (slow) return 'The server is very busy: time runs slower for everybody.';
  return level > 0 ? 'The server is busy: others move less smoothly.' : '';
}

export class ServiceNote {
  constructor(private readonly note: Pick<HTMLElement, 'hidden' | 'textContent'>) {}

  show(service: Service): void {
    const sentence = serviceSentence(service);
    this.note.hidden = sentence === '';
    if (this.note.textContent !== sentence) this.note.textContent = sentence;
  }
}
