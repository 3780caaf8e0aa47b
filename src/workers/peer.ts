import type { Channel } from './channel.ts';

/** Answers a question that another process asks. What it throws is told to the asker, its message alone. */
export type Handler = (input: unknown) => unknown;

/** Another process of this service, which may be asked, and which asks. */
export interface Peer {
  /**
   * Asks the other process. Input and answer are what JSON carries. What is asked within one turn of the event loop goes
   * in one message.
   *
   * @throws Error when there is no answer within `limitMs`, the other process is gone or has too much to answer, or
   * its handler failed.
   */
  ask(name: string, input: unknown, limitMs: number): Promise<unknown>;
  /** Answers the questions of this name from now on. */
  handle(name: string, handler: Handler): void;
}

/** Questions that wait for their answer: whoever is asked more often than that is stuck. */
const MAX_WAITING = 10_000;

type Question = readonly [id: number, name: string, input: unknown];
type Answer = readonly [id: number, fault: string | null, value?: unknown];
interface Message {
  readonly asked?: readonly Question[];
  readonly answered?: readonly Answer[];
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export function createPeer(channel: Channel): Peer {
  const handlers = new Map<string, Handler>();
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let isGone = false;
  let asked: Question[] = [];
  let answered: Answer[] = [];
  let isScheduled = false;

  function send(): void {
    isScheduled = false;
    const message: Message = {
      ...(asked.length > 0 ? { asked } : {}),
      ...(answered.length > 0 ? { answered } : {}),
    };
    asked = [];
    answered = [];
    if (!isGone) channel.send(message);
  }

  function sendSoon(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(send);
  }

  function answer(id: number, fault: string | null, value?: unknown): void {
    answered.push([id, fault, value]);
    sendSoon();
  }

  function take([id, name, input]: Question): void {
    const fail = (error: unknown) => answer(id, error instanceof Error ? error.message : String(error));
    try {
      const handler = handlers.get(name);
      if (!handler) throw new Error(`nobody answers ${name}`);
      const value = handler(input);
      // What is known at once goes with the other answers to the same message.
      if (value instanceof Promise) value.then((late: unknown) => answer(id, null, late), fail);
      else answer(id, null, value);
    } catch (error) {
      fail(error);
    }
  }

  function settle([id, fault, value]: Answer): void {
    const question = waiting.get(id);
    if (!question) return;
    waiting.delete(id);
    clearTimeout(question.timer);
    if (fault === null) question.resolve(value);
    else question.reject(new Error(fault));
  }

  channel.onMessage((message) => {
    if (typeof message !== 'object' || message === null) return;
    const { asked: questions = [], answered: answers = [] } = message as Message;
    for (const each of answers) settle(each);
    for (const each of questions) take(each);
  });
  channel.onClosed(() => {
    isGone = true;
    for (const id of [...waiting.keys()]) settle([id, 'the other process is gone']);
  });

  return {
    ask(name, input, limitMs) {
      if (isGone) return Promise.reject(new Error('the other process is gone'));
      if (waiting.size >= MAX_WAITING) return Promise.reject(new Error('the other process is stuck'));
      return new Promise((resolve, reject) => {
        const id = ++lastId;
        const timer = setTimeout(() => settle([id, `no answer to ${name} in time`]), limitMs);
        waiting.set(id, { timer, resolve, reject });
        asked.push([id, name, input]);
        sendSoon();
      });
    },
    handle: (name, handler) => void handlers.set(name, handler),
  };
}
