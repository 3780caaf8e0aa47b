import type { JsonObject } from '../../json.ts';
import type { ToolType } from '../tool.ts';

/** What a document says of one of its tools: what to make, or why none can be made. */
export type Candidate =
  | {
      readonly name: string;
      readonly toolType: ToolType;
      /** Not checked yet: `createTool` and `updateTool` do that. */
      readonly definition: JsonObject;
      /** A credential that the document asks for and nobody gave. */
      readonly missing?: MissingCredential | undefined;
      /** What was left out or done otherwise, in words for whoever imports. */
      readonly notes: readonly string[];
      readonly errors?: never;
    }
  | { readonly name: string; readonly errors: readonly string[] };

/** One that the tool may have from before: it is kept then. */
export interface MissingCredential {
  /** An authentication without its secrets; its type and, say, a header's name. */
  readonly authentication: JsonObject & { readonly type: string };
  readonly note: string;
}

/** What a document does not say, and whoever imports it may. */
export interface ImportOptions {
  /** How the tools of function formats run. */
  readonly execution?: JsonObject | undefined;
  /** Secrets by the names of an OpenAPI document's security schemes. */
  readonly credentials?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /** Over the servers of an OpenAPI document. */
  readonly serverUrl?: string | undefined;
}
