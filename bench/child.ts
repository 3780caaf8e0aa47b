import { fork } from 'node:child_process';
import { once } from 'node:events';
import { packageRoot } from '../src/package-root.ts';
import { adopt, end } from './scratch.ts';

/** A program of this folder in a process of its own, which answers questions one at a time or many at once. */
export interface Child<Question, Answer> extends AsyncDisposable {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: unknown;
  /** @throws Error with the words of what went wrong there. */
  ask(question: Question): Promise<Answer>;
}

type Reply<Answer> = { id: number } & ({ answer: Answer } | { error: string });

/**
 * Starts a program of this folder and waits until it is ready.
 *
 * @param options.log the file descriptor that takes its standard output.
 */
export async function startChild<Question, Answer>(
  file: URL,
  options: { arguments?: readonly string[]; log?: number } = {},
): Promise<Child<Question, Answer>> {
  const child = fork(file, options.arguments ?? [], {
    cwd: packageRoot,
    execArgv: ['--import', import.meta.resolve('tsx')],
    stdio: ['ignore', options.log ?? 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  adopt(child);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${file.pathname} could not be started`);
  const exited = once(child, 'exit').then(() => {
    throw new Error(`${file.pathname} ended before its time`);
  });
  exited.catch(() => undefined);
  const ready = await Promise.race([once(child, 'message').then(([message]) => message as unknown), exited]);

  const waiting = new Map<number, PromiseWithResolvers<Answer>>();
  let lastId = 0;
  child.on('message', (reply: Reply<Answer>) => {
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('error' in reply) asked?.reject(new Error(reply.error));
    else asked?.resolve(reply.answer);
  });
  return {
    pid,
    ready,
    ask(question) {
      const asked = withResolvers<Answer>();
      waiting.set(++lastId, asked);
      child.send({ id: lastId, question });
      return Promise.race([asked.promise, exited]);
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** `Promise.withResolvers`, which Node 20 has not. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let settle: Pick<PromiseWithResolvers<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  if (!settle) throw new Error('a promise runs its executor at once');
  return { promise, ...settle };
}

/** Within such a program: says that it is ready, and answers what it is asked until its parent is gone. */
export function serveParent<Question, Answer>(
  ready: unknown,
  answer: (question: Question) => Answer | Promise<Answer>,
): void {
  process.on('message', async ({ id, question }: { id: number; question: Question }) => {
    try {
      process.send?.({ id, answer: await answer(question) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
  process.once('disconnect', () => process.exit());
  process.once('SIGTERM', () => process.exit());
  process.send?.(ready);
}
