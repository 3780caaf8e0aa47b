import { z } from 'zod';
import { isJsonObject } from '../json.ts';
import { quoted, shown } from './definition-words.ts';
import { SECRET_MASK } from './tool.ts';

const KEPT = 'Shown as `********`; writing that keeps what is stored.';
const MAX_LENGTH = 8192;

/** A credential of one type, whose keys are all known. */
const credential = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `Authentication has an unknown key '${shown(issue.keys?.[0])}'.`
        : "'authentication' must be a JSON object.",
  });

/** A text that a credential must have, of up to 8192 characters. */
const text = (kind: string, key: string) =>
  z
    .string(`${kind} authentication requires a '${key}'.`)
    .max(MAX_LENGTH, `Authentication '${key}' must have no more than ${MAX_LENGTH} characters.`);

const bearerSchema = credential({
  type: z.literal('bearer'),
  token: text('Bearer', 'token')
    .regex(/^[\x21-\x7e]+$/, "Authentication 'token' must be visible ASCII characters without spaces.")
    .meta({ description: `Sent as \`Authorization: Bearer …\`. ${KEPT}` }),
});

// RFC 7617, section 2.
const basicSchema = credential({
  type: z.literal('basic'),
  username: text('Basic', 'username')
    .regex(/^[^:\p{Cc}]*$/u, "Authentication 'username' must not have colons or control characters.")
    .meta({ description: 'May be empty.' }),
  password: text('Basic', 'password')
    .regex(/^\P{Cc}*$/u, "Authentication 'password' must not have control characters.")
    .meta({ description: `May be empty. ${KEPT}` }),
});

const apiKeySchema = credential({
  type: z.literal('api_key'),
  in: z
    .enum(['header', 'query'], "Authentication 'in' must be 'header' or 'query'.")
    .meta({ description: 'Whether a header or a parameter of the query carries it.' }),
  name: text('API key', 'name')
    .min(1, "API key authentication requires a 'name'.")
    .meta({ description: 'The name of the header or parameter.' }),
  value: text('API key', 'value')
    .regex(
      /^[\x21-\x7e]+(?: +[\x21-\x7e]+)*$/,
      "Authentication 'value' must be visible ASCII characters, with spaces only between them.",
    )
    .meta({ description: KEPT }),
});

/** What RFC 6749 (appendix A) calls VSCHAR. */
const visible = (key: string) =>
  text('OAuth 2.0', key).regex(
    /^[\x20-\x7e]+$/,
    `Authentication '${key}' must be visible ASCII characters or spaces.`,
  );

const clientCredentialsSchema = credential({
  type: z.literal('oauth2_client_credentials'),
  token_url: text('OAuth 2.0', 'token_url')
    .min(1, "OAuth 2.0 authentication requires a 'token_url'.")
    .meta({ description: 'The token endpoint. Public addresses only.' }),
  client_id: visible('client_id').meta({ description: 'As the token endpoint knows the tool.' }),
  client_secret: visible('client_secret').meta({ description: KEPT }),
  scope: visible('scope').optional().meta({ description: 'Parted by spaces.' }),
  audience: text('OAuth 2.0', 'audience')
    .min(1, "Authentication 'audience' must not be empty.")
    .optional()
    .meta({ description: 'For which API the token is, where the token endpoint asks for it.' }),
  client_authentication: z
    .enum(['basic', 'body'], "Authentication 'client_authentication' must be 'basic' or 'body'.")
    .optional()
    .meta({
      description: "How the client's secret is sent to the token endpoint: as `basic` where left out.",
    }),
});

const signingKey = (key: string) =>
  text('Standard Webhooks', key).refine(
    isSigningKey,
    `Authentication '${key}' must be 24 to 64 bytes in base64, with or without 'whsec_' before it.`,
  );

const standardWebhooksSchema = credential({
  type: z.literal('standard_webhooks'),
  secret: signingKey('secret').meta({ description: `Signs the request, by HMAC-SHA256. ${KEPT}` }),
  previous_secret: signingKey('previous_secret')
    .optional()
    .meta({ description: `Signs it too, while the receiver changes over. ${KEPT}` }),
});

const schemas = [
  bearerSchema,
  basicSchema,
  apiKeySchema,
  clientCredentialsSchema,
  standardWebhooksSchema,
] as const;

/** How a call says on whose behalf it comes. */
export const authenticationSchema = z
  .discriminatedUnion('type', schemas, {
    error: ({ input }) =>
      isJsonObject(input)
        ? `Invalid authentication type: '${shown(input.type)}'. Must be ${quoted(schemas.map(({ shape }) => shape.type.value))}.`
        : "'authentication' must be a JSON object.",
  })
  .meta({ description: 'The credential that is sent with the call.' });

/** As it is stored: the mask stands where secrets were. */
export type Authentication = z.output<typeof authenticationSchema>;

/** Standard Webhooks 1.0.0, "Signature scheme". */
function isSigningKey(secret: string): boolean {
  if (secret === SECRET_MASK) return true;
  const base64 = secret.replace(/^whsec_/, '');
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === base64;
}
