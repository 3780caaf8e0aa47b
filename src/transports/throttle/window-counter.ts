/**
 * Counts the requests of each key in a sliding window of one length. Where the counts are kept is the maker's: in this
 * process, in another process of this machine, or in Redis.
 *
 * Keys are 1 to 64 letters, digits, dots, hyphens and underscores.
 */
export interface WindowCounter {
  /**
   * Counts one request. Never rejects, and answers within a bounded time.
   *
   * @returns the seconds to wait, at least 1, when the key is over its limit (the request is not counted then); else 0.
   */
  take(key: string): number | Promise<number>;
}
