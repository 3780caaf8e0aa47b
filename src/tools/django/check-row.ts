import { ServiceError } from '../../errors.ts';
import { getOwn, isJsonObject } from '../../json.ts';
import type { ToolsContext } from '../context.ts';
import { sealDefinition } from '../seal-definition.ts';
import type { ToolRecord } from '../tool-change-store.ts';
import { checkNewTool } from '../tool-input.ts';
import type { DjangoRow } from './django-store.ts';
import { type OldTool, readRow } from './read-row.ts';

/** A row that could be read, and what it would be here; or, in words, why it cannot be here. */
export interface CheckedRow {
  readonly row: DjangoRow;
  readonly old: OldTool | undefined;
  /** What is stored of it, but for the revision. */
  readonly record: Omit<ToolRecord, 'revision'> | undefined;
  /** Why there is no record. */
  readonly fault: string;
  /** The pointer of a system tool that ran a function of the old service. */
  readonly pointer: string | undefined;
}

/** Reads a row and checks it as if it were registered now. */
export function checkRow(context: ToolsContext, row: DjangoRow): CheckedRow {
  const old = readRow(row, context.limits.definitionBytes);
  if (typeof old === 'string')
    return { row, old: undefined, record: undefined, fault: old, pointer: undefined };
  const pointer = pointerOf(old);
  try {
    const isSystem = old.ownerId === null;
    const { name, toolType = 'standard', checked } = checkNewTool(context, old.input, isSystem);
    const createdAt = old.createdAt ?? old.updatedAt ?? context.now();
    const record = {
      id: old.id,
      name,
      toolType,
      ownerId: old.ownerId,
      createdAt: new Date(createdAt),
      updatedAt: new Date(old.updatedAt ?? createdAt),
      builtin: null,
      description: checked.description,
      ...sealDefinition(context, old.id, checked.definition, undefined),
    };
    return { row, old, record, fault: '', pointer };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return { row, old, record: undefined, fault: error.message, pointer };
  }
}

function pointerOf({ ownerId, input }: OldTool): string | undefined {
  const { definition } = input;
  const execution = isJsonObject(definition) ? getOwn(definition, 'execution') : undefined;
  if (ownerId !== null || !isJsonObject(execution)) return undefined;
  const pointer = getOwn(execution, 'pointer');
  const isInternal = getOwn(execution, 'type') === 'internal_function';
  return isInternal && typeof pointer === 'string' ? pointer : undefined;
}
