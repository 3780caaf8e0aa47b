import type { Transaction } from '../../db/database.ts';
import type { ToolsContext } from '../context.ts';
import type { BuiltinTool } from '../install-builtin-tools.ts';
import { type CheckedRow, checkRow } from './check-row.ts';
import type { DjangoRow } from './django-store.ts';
import { moveBatch } from './move-batch.ts';
import { ensureMoves } from './moved-tool-store.ts';

/**
 * What became of a row: a new tool; the tool of an earlier import, brought to the row's newer state; nothing to do; a tool
 * that was changed or deleted here since its import, and is left so; a row that is not wanted here, as its owner is
 * deleted; one that cannot be a tool here.
 */
export type RowStatus = 'created' | 'updated' | 'unchanged' | 'kept' | 'skipped' | 'rejected';

export interface RowOutcome {
  readonly status: RowStatus;
  readonly row: DjangoRow;
  /** Why, or what is to be known of it, in words for the operator; may quote the row. Empty where there is nothing to say. */
  readonly remark: string;
}

export interface ImportRowsOptions {
  /** The tools that the service installs itself: the old service's rows of the same functions give them their ids. */
  readonly builtins: readonly BuiltinTool[];
  /** Whether to find out what would become of the rows, and change nothing. */
  readonly dryRun?: boolean;
}

/** So many rows go into one transaction: the disk is waited for once for all, and other writers wait for some 50 ms. */
const BATCH_ROWS = 100;

/** As `BATCH_ROWS`, in characters of the rows' definitions. */
const BATCH_CHARACTERS = 2 * 1024 * 1024;

/**
 * Brings the rows of the old service's table over: ids, owners, names, times and definitions as they are, bearer tokens
 * encrypted, each new tool with its `tool.created`. Run again, it brings what is new or has a newer time, and never
 * touches a tool that was changed or deleted here meanwhile. Rows are read as they are needed.
 *
 * @returns what became of each row, in their order, once it has been committed.
 * @throws ServiceError `unavailable` when the database takes no changes; what was yielded before stays done.
 */
export async function* importRows(
  context: ToolsContext,
  rows: Iterable<DjangoRow>,
  options: ImportRowsOptions,
): AsyncGenerator<RowOutcome> {
  const { dryRun = false } = options;
  const plan = { builtins: options.builtins, promisedNames: dryRun ? new Set<string>() : undefined };

  /** The outcomes of some rows, in one transaction. */
  async function move(batch: readonly CheckedRow[]): Promise<RowOutcome[]> {
    let outcomes: RowOutcome[] = [];
    const work = async (transaction: Transaction) => {
      await ensureMoves(transaction);
      outcomes = await moveBatch(context, transaction, batch, plan);
      if (dryRun) throw new RolledBack();
    };
    await context.database.transaction(work).catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
    return outcomes;
  }

  async function* moveAll(batch: readonly CheckedRow[]): AsyncGenerator<RowOutcome> {
    try {
      yield* await move(batch);
    } catch (error) {
      if (!context.database.isUniqueViolation(error)) throw error;
      // Somebody registers tools at the same time: whose name it was is found out one by one.
      for (const checked of batch) yield* await moveOne(checked);
    }
  }

  async function moveOne(checked: CheckedRow): Promise<RowOutcome[]> {
    try {
      return await move([checked]);
    } catch (error) {
      if (!context.database.isUniqueViolation(error)) throw error;
      return [{ status: 'rejected', row: checked.row, remark: 'Its name was taken at the same time.' }];
    }
  }

  let batch: CheckedRow[] = [];
  let characters = 0;
  for (const row of rows) {
    const checked = checkRow(context, row);
    batch.push(checked);
    characters += checked.record?.definition.length ?? 0;
    if (batch.length < BATCH_ROWS && characters < BATCH_CHARACTERS) continue;
    yield* moveAll(batch);
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield* moveAll(batch);
}

/** Takes back what a dry run has done. */
class RolledBack extends Error {
  override readonly name = 'RolledBack';
}
