const TICK_MS = 20;
const PATIENCE = 5;

/**
 * Tells when answers stay out: at the latest 200 ms after a question, at the earliest 100 ms. Time in which the event
 * loop was blocked counts for no more than a tick, since the answers may have come meanwhile.
 *
 * One timer for all questions, and none while nothing is asked. Answers come in the order of the questions.
 *
 * @param patience the ticks of 20 ms in which what was asked before them must be answered; both times grow with it.
 */
export function createStallWatch(
  onStall: () => void,
  patience = PATIENCE,
): {
  /** Notes a question. Call what it returns when its answer is there. */
  expect(): () => void;
  /** Forgets what was asked. */
  reset(): void;
} {
  let asked = 0;
  let answered = 0;
  /** What had been asked when the ticks began to be counted. */
  let due = 0;
  let ticks = 0;
  let timer: NodeJS.Timeout | undefined;
  let generation = 0;

  function tick(): void {
    if (answered >= due) {
      due = asked;
      ticks = 0;
      if (answered < asked) return;
      clearInterval(timer);
      timer = undefined;
    } else if (++ticks >= patience) onStall();
  }

  return {
    expect() {
      const mine = generation;
      asked++;
      if (!timer) {
        due = asked;
        ticks = 0;
        timer = setInterval(tick, TICK_MS).unref();
      }
      return () => {
        if (mine === generation) answered++;
      };
    },
    reset() {
      generation++;
      asked = answered = due = ticks = 0;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
