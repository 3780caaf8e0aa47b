/** Pauses of a loop, which some may cut short. */
export interface Naps {
  /**
   * Pauses for `ms` milliseconds. `wake` ends a light nap, or keeps it from beginning when it was called since `forget`;
   * `rouse` ends any.
   */
  nap(ms: number, depth: 'light' | 'deep'): Promise<void>;
  wake(): void;
  rouse(): void;
  /** Forgets that somebody has called `wake`. */
  forget(): void;
  /** Whether `wake` was called since `forget`. */
  readonly isWoken: boolean;
}

export function createNaps(): Naps {
  let isWoken = false;
  let isRoused = false;
  let current: { readonly depth: 'light' | 'deep'; readonly end: () => void } | undefined;
  return {
    nap(ms, depth) {
      if (isRoused || (isWoken && depth === 'light')) {
        isRoused = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          current = undefined;
          isRoused = false;
          resolve();
        };
        const timer = setTimeout(end, ms).unref();
        current = { depth, end };
      });
    },
    wake() {
      isWoken = true;
      if (current?.depth === 'light') current.end();
    },
    rouse() {
      isRoused = true;
      current?.end();
    },
    forget() {
      isWoken = false;
    },
    get isWoken() {
      return isWoken;
    },
  };
}
