import type { Socket } from 'node:net';

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * Reads as few bytes as tell HTTP/2 with prior knowledge from HTTP/1.1, puts them back, and says which it is, in the
 * same turn: the first byte that differs from the preface settles it. The socket is paused then.
 * One that has not settled it in `timeoutMs`, or ends before, is destroyed.
 */
export function detectProtocol(
  socket: Socket,
  timeoutMs: number,
  detected: (protocol: 'http1' | 'http2') => void,
): void {
  let head: Buffer | undefined;

  const onData = (chunk: Buffer) => {
    head = head ? Buffer.concat([head, chunk]) : chunk;
    const compared = Math.min(head.length, PREFACE.length);
    const alike = PREFACE.compare(head, 0, compared, 0, compared) === 0;
    if (alike && compared < PREFACE.length) return;
    stop();
    socket.pause();
    socket.unshift(head);
    detected(alike ? 'http2' : 'http1');
  };
  const giveUp = () => socket.destroy();
  const stop = () => {
    clearTimeout(timer);
    socket.off('data', onData).off('end', giveUp).off('close', stop);
  };

  const timer = setTimeout(giveUp, timeoutMs);
  socket.on('data', onData).on('end', giveUp).on('close', stop);
}
