// Remembering a few small things, where the browser allows it; in memory for this page where it does not.
//
// Even reading `window.localStorage` throws in a sandboxed frame or with storage denied, so every touch is guarded.

export interface Store {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  remove(key: string): void;
  /** Whether it will still be known on the next page. */
  readonly lasts: boolean;
}

const PREFIX = 'aerodrome.';

/** `open` returns the browser's storage, or throws. */
export function openStore(open: () => Storage): Store {
  const memory = new Map<string, string>();
  const storage = works(open);
  return {
    lasts: storage !== undefined,
    // What lies in the browser's storage may be news from another tab; memory only holds what could not be put there.
    get: (key) => memory.get(key) ?? guarded(() => storage?.getItem(PREFIX + key) ?? undefined),
    set: (key, value) => {
      memory.set(key, value);
      guarded(() => {
        if (storage === undefined) return;
        storage.setItem(PREFIX + key, value);
        memory.delete(key);
      });
    },
    remove: (key) => {
      memory.delete(key);
      guarded(() => storage?.removeItem(PREFIX + key));
    },
  };
}

/** Kept over visits: call sign, colour, sound. */
export const longStore = (): Store => openStore(() => window.localStorage);
/** Kept for this tab: the resume token. */
export const tabStore = (): Store => openStore(() => window.sessionStorage);

function works(open: () => Storage): Storage | undefined {
  return guarded(() => {
    const storage = open();
    storage.setItem(`${PREFIX}probe`, '1');
    storage.removeItem(`${PREFIX}probe`);
    return storage;
  });
}

function guarded<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
