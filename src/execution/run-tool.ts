import type { JsonObject } from '../json.ts';
import { type CompiledSchema, describeFault } from '../json-schema/compile-schema.ts';
import type { Tool } from '../tools/tool.ts';
import { CallError, type CallScope } from './call.ts';
import type { ResolvedScope } from './confirm-tool.ts';
import type { ExecutionContext } from './context.ts';
import { enterBulkheads } from './enter-bulkheads.ts';
import { inTurn } from './large-work.ts';
import type { PreparedExecution, PreparedTool } from './prepare-tool.ts';
import { runWebhook } from './webhook/run-webhook.ts';

/**
 * Runs a tool once, with values that fit its parameters.
 *
 * @returns JSON text that fits the tool's `output_schema`, if it has one.
 * @throws CallError, or whatever a fault of ours throws.
 */
export function runTool(
  context: ExecutionContext,
  tool: Tool,
  { execution, outputSchema }: PreparedTool,
  values: JsonObject,
  scope: ResolvedScope,
): Promise<string> {
  const output = run(context, tool, execution, values, scope);
  return outputSchema ? checked(output, outputSchema, scope) : output;
}

async function checked(
  output: Promise<string>,
  schema: CompiledSchema,
  { cancellation }: CallScope,
): Promise<string> {
  const text = await output;
  // Parsed anew, as all the values that wait for their turn would take many times the room of their text.
  const faults = await inTurn(text.length, cancellation, () => schema.validate(JSON.parse(text)));
  if (faults.length === 0) return text;
  const words = faults.map(describeFault).join('; ');
  throw new CallError('invalid_response', `The tool's output does not fit its output_schema. ${words}.`);
}

function run(
  context: ExecutionContext,
  tool: Tool,
  execution: PreparedExecution,
  values: JsonObject,
  scope: ResolvedScope,
): Promise<string> {
  switch (execution.type) {
    case 'webhook':
      return runWebhook(context, tool, execution, values, scope);
    case 'internal_function':
      return runInternalFunction(context, tool, values, scope);
    default:
      return execution satisfies never;
  }
}

async function runInternalFunction(
  context: ExecutionContext,
  tool: Tool,
  values: JsonObject,
  scope: ResolvedScope,
): Promise<string> {
  const internal = context.internalFunctions.get(tool.pointer ?? '');
  if (!internal) throw new CallError('internal', 'The function that this tool runs is not there.');
  const leave = await enterBulkheads(context, tool, undefined, scope);
  try {
    const output = JSON.stringify(await internal(values, scope));
    if (output.length <= context.limits.responseBytes) return output;
    throw new CallError('response_too_large', 'The answer of this tool is too large. Ask for less.');
  } finally {
    leave();
  }
}
