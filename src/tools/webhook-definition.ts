import { z } from 'zod';
import type { JsonValue } from '../json.ts';
import { authenticationSchema } from './authentication-definition.ts';
import { must } from './definition-words.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
const MAX_ENTRIES = 100;
const MAX_POINTER_LENGTH = 1024;
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;

const TIMEOUT_RANGE = "Webhook 'timeout_ms' must be a whole number from 100 to 300000.";
const RESPONSE_RANGE = must(`be a whole number from 1 to ${MAX_RESPONSE_BYTES}`);

/** Whether defaults are filled in; the same for tools that run otherwise. */
export const applyDefaultsSchema = z.boolean(must('be true or false')).optional().meta({
  description: 'True fills in the `default`s of `parameters` where the call does not give a parameter.',
});

const isSmall = (object: object) => Object.keys(object).length <= MAX_ENTRIES;
const TOO_MANY = must(`have no more than ${MAX_ENTRIES} entries`);

const scalarSchema = z.union([z.string(), z.number(), z.boolean()]);

/**
 * An HTTP call. Templates (RFC 6570, level 1) take the values of parameters: `{name}` in `url`, `query`, `headers` and
 * `body`, where `name` is a parameter; `{{` and `}}` are braces.
 */
export const webhookSchema = z
  .looseObject({
    type: z.literal('webhook'),
    url: z
      .string("Webhook execution requires a 'url'.")
      .min(1, "Webhook execution requires a 'url'.")
      .max(8192, "Webhook 'url' must have no more than 8192 characters.")
      .meta({
        description: 'What is called; a template from its path on. Public addresses only.',
      }),
    authentication: authenticationSchema.optional(),
    timeout_ms: z
      .int(TIMEOUT_RANGE)
      .min(100, TIMEOUT_RANGE)
      .max(300_000, TIMEOUT_RANGE)
      .optional()
      .meta({ description: 'How long a call may take, in milliseconds; EXECUTION_TIMEOUT where left out.' }),
    method: z
      .enum(METHODS, must(`be one of ${METHODS.join(', ')}`))
      .optional()
      .meta({ description: 'POST where left out.' }),
    query: z
      .record(
        z.string(),
        z.union(
          [scalarSchema, z.array(scalarSchema)],
          must('be a string, a number, true, false, or a list of these'),
        ),
        must('be a JSON object'),
      )
      .refine(isSmall, TOO_MANY)
      .optional()
      .meta({
        description:
          'Parameters added to the query: templates. A list repeats its name; one over an argument that was not given is left out.',
      }),
    headers: z
      .record(z.string(), z.string(must('be a string')), must('be a JSON object'))
      .refine(isSmall, TOO_MANY)
      .optional()
      .meta({
        description:
          'Headers of the request: templates. Constant credentials belong into `authentication`, where they are kept secret.',
      }),
    body: z.custom<JsonValue>().optional().meta({
      description:
        'The body, sent as JSON or as the form that `content-type` asks for. Each string in it is a template; one that is `{name}` alone takes the value with its type. Arguments that no template uses are added to it; where it is left out they are the body, or the query of GET, HEAD and DELETE.',
    }),
    max_response_bytes: z
      .int(RESPONSE_RANGE)
      .min(1, RESPONSE_RANGE)
      .max(MAX_RESPONSE_BYTES, RESPONSE_RANGE)
      .optional()
      .meta({ description: 'Largest answer, decompressed, within MAX_RESPONSE_BYTES.' }),
    output: z
      .string(must('be a string'))
      .max(MAX_POINTER_LENGTH, must(`have no more than ${MAX_POINTER_LENGTH} characters`))
      .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, must('be a JSON pointer (RFC 6901)'))
      .optional()
      .meta({ description: 'JSON pointer (RFC 6901) to the part of the answer that is the output.' }),
    apply_defaults: applyDefaultsSchema,
  })
  .meta({ description: 'An HTTP call.' });

/** As it is stored: secrets masked. */
export type WebhookExecution = z.output<typeof webhookSchema>;
