import { isIP } from 'node:net';
import type { ConnectionOptions } from 'rabbitmq-client';

/**
 * Takes `amqp://user:password@host:port/vhost` (or `amqps`) apart; what is left out is as RabbitMQ's own clients have it.
 * The query counts for nothing: the client would let it undo the time limits.
 *
 * @throws Error with words that hold nothing of the URL, which holds a password.
 */
export function connectionOptions(url: string): ConnectionOptions {
  try {
    const { protocol, hostname, port, username, password, pathname } = new URL(url);
    if (protocol !== 'amqp:' && protocol !== 'amqps:') throw new TypeError();
    const isSecure = protocol === 'amqps:';
    const host = hostname.replace(/^\[|\]$/g, '') || 'localhost';
    return {
      hostname: host,
      port: port || (isSecure ? 5671 : 5672),
      username: decodeURIComponent(username) || 'guest',
      password: decodeURIComponent(password) || 'guest',
      vhost: decodeURIComponent(pathname.slice(1)) || '/',
      // The client names no server to TLS by itself, and some answer with another's certificate then.
      ...(isSecure ? { tls: isIP(host) ? {} : { servername: host } } : {}),
    };
  } catch {
    // Without its cause, which quotes the URL.
    throw new Error('the URL of RabbitMQ is not one of amqp:// or amqps://');
  }
}
