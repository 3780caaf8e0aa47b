/** A number of something of which there is so much and no more: bytes of memory, calls under way. Only counts. */
export interface Budget {
  /** @returns false where so much is not left; nothing is taken then. */
  take(amount: number): boolean;
  give(amount: number): void;
}

/** What one request has taken. */
export interface Account extends Budget {
  /** Gives back all that was taken and not given back. Nothing can be taken any more. May be called again. */
  close(): void;
}

/** A budget that all requests share. */
export interface SharedBudget extends Budget {
  /** What is taken now. */
  readonly taken: number;
  /** Opens an account that counts for a user too, so that nobody takes everything. To be closed. */
  open(user: string): Account;
}

/** What one user has taken, while any of the accounts that count for it is open. */
interface Share {
  taken: number;
  accounts: number;
}

export function createSharedBudget(limits: { total: number; perUser: number }): SharedBudget {
  const shares = new Map<string, Share>();
  let taken = 0;

  const take = (amount: number) => {
    if (taken + amount > limits.total) return false;
    taken += amount;
    return true;
  };
  const give = (amount: number) => {
    taken -= amount;
  };

  function open(user: string): Account {
    const share = shares.get(user) ?? { taken: 0, accounts: 0 };
    shares.set(user, share);
    share.accounts++;
    let own = 0;
    let isClosed = false;
    const giveOwn = (amount: number) => {
      own -= amount;
      share.taken -= amount;
      give(amount);
    };
    return {
      take(amount) {
        if (isClosed || share.taken + amount > limits.perUser || !take(amount)) return false;
        own += amount;
        share.taken += amount;
        return true;
      },
      give(amount) {
        // Closing gave it back already.
        if (!isClosed) giveOwn(amount);
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        giveOwn(own);
        share.accounts--;
        if (share.accounts === 0) shares.delete(user);
      },
    };
  }

  return {
    take,
    give,
    open,
    get taken() {
      return taken;
    },
  };
}
