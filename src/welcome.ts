import { randomUUID } from 'node:crypto';
import type { Service } from './service.ts';

/** The user whose token the development server offers for trying it. */
const DEVELOPMENT_USER = '00000000-0000-4000-8000-000000000001';

/** What a developer sees at the start: a token, and commands that work when pasted. */
export function welcome(service: Pick<Service, 'url' | 'issueToken'>): string {
  const token = service.issueToken({ userId: DEVELOPMENT_USER, ttlSeconds: 24 * 3600 });
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  const json = "-H 'Content-Type: application/json'";
  // Another name at each start, since the last one's tool is still there.
  const name = `echo_${randomUUID().slice(0, 8)}`;
  const tool = {
    name,
    definition: {
      name,
      description: 'Say something to a webhook.',
      parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
      execution: { type: 'webhook', url: 'https://httpbin.org/anything' },
    },
  };
  const call = {
    tool_calls: [{ id: '1', name: 'discover_contextual_tools', arguments: { query: 'weather' } }],
  };
  return `
Tool Service is at ${service.url} - its API is described at ${service.url}/docs/

A token for trying it (development, user ${DEVELOPMENT_USER}, 24 hours):
${token}

List tools, register one, find tools with a built-in tool:
curl -sSw '\\n' ${authorization} ${service.url}/ms7/api/v1/tools/
curl -sSw '\\n' ${authorization} ${json} -d '${JSON.stringify(tool)}' ${service.url}/ms7/api/v1/tools/
curl -sSw '\\n' ${authorization} ${json} -d '${JSON.stringify(call)}' ${service.url}/ms7/api/v1/execute/

`;
}
