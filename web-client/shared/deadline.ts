// When to give up waiting for an answer: after so long in all, after so long without a byte, or when told to.
//
// `AbortSignal.any` with `AbortSignal.timeout` would do the first and last of it, in browsers of 2024 and later.

export class Deadline {
  private readonly end = new AbortController();
  private readonly whole: ReturnType<typeof setTimeout>;
  private silence: ReturnType<typeof setTimeout>;
  private readonly abort = (): void => this.end.abort();

  /** Both in milliseconds. */
  constructor(
    wholeMs: number,
    private readonly silenceMs: number,
    private readonly outer?: AbortSignal,
  ) {
    this.whole = setTimeout(this.abort, wholeMs);
    this.silence = setTimeout(this.abort, silenceMs);
    if (outer?.aborted) this.abort();
    outer?.addEventListener('abort', this.abort);
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  /** Something came. */
  received(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(this.abort, this.silenceMs);
  }

  /** It is over: nothing is given up any more. */
  clear(): void {
    clearTimeout(this.whole);
    clearTimeout(this.silence);
    this.outer?.removeEventListener('abort', this.abort);
  }
}
