import { afterAll, expect, it } from 'vitest';
import { makeToken } from '../../testing/make-token.ts';
import { protocols } from '../../testing/rpc-clients.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const service = await startTestService();
afterAll(() => service.close());

it.each(protocols)(
  'GetToolDefinitions over $name gives out each format, in the order asked',
  async ({ connect }) => {
    using client = connect(service.url);
    const token = makeToken();
    const ids: string[] = [];
    for (const name of ['a.b', 'c']) {
      const { body } = await client.call('CreateTool', { tool: webhookInput(name) }, { token });
      ids.push(String(body.id));
    }
    const toolIds = [...ids.toReversed(), ...ids];
    const definitions = async (format: string) => {
      const { code, message, body } = await client.call('GetToolDefinitions', { toolIds, format }, { token });
      return code === 'OK' ? body.definitions : [code, message];
    };
    const described = ['c', 'a_b', 'a_b', 'c'].map((name) => ({
      name,
      description: `Does ${name.replace('_', '.')}.`,
    }));
    const schema = { type: 'object', properties: {} };
    const shapes = {
      openai: described.map((tool) => ({ type: 'function', function: { ...tool, parameters: schema } })),
      anthropic: described.map((tool) => ({ ...tool, input_schema: schema })),
      mcp: described.map((tool) => ({ ...tool, inputSchema: schema })),
      gemini: described.map((tool) => ({ ...tool, parametersJsonSchema: schema })),
    };
    for (const [format, shape] of Object.entries(shapes)) expect(await definitions(format)).toEqual(shape);
    expect(await definitions('')).toMatchObject([{ name: 'c', execution: { type: 'webhook' } }, {}, {}, {}]);
    expect(await definitions('cohere')).toEqual([
      'INVALID_ARGUMENT',
      'format: "cohere" is not a valid choice: openai, anthropic, mcp, gemini.',
    ]);
  },
);
