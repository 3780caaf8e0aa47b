import type { Transaction } from '../../db/database.ts';
import { recordEvent } from '../../events/outbox-store.ts';
import { keepUsers } from '../../users/deleted-users-store.ts';
import type { ToolsContext } from '../context.ts';
import type { BuiltinTool } from '../install-builtin-tools.ts';
import { insertTool, replaceTool } from '../tool-change-store.ts';
import { countOwnedTools } from '../tool-store.ts';
import type { CheckedRow } from './check-row.ts';
import type { RowOutcome, RowStatus } from './import-rows.ts';
import { findIdByName, findKnownBuiltins, findKnownTools, findMoves, saveMove } from './moved-tool-store.ts';
import type { OldTool } from './read-row.ts';
import { takeBuiltin } from './take-builtin.ts';

/** What is the same for all batches of an import. */
export interface MovePlan {
  readonly builtins: readonly BuiltinTool[];
  /** In a dry run, the names that rows would have taken, by owner: their batches are rolled back. */
  readonly promisedNames: Set<string> | undefined;
}

type Verdict = { readonly status: RowStatus; readonly remark: string };

/** Does what is to be done for some rows. @returns what became of each, in their order. */
export async function moveBatch(
  context: ToolsContext,
  transaction: Transaction,
  batch: readonly CheckedRow[],
  plan: MovePlan,
): Promise<RowOutcome[]> {
  const { database } = context;
  const olds = batch.flatMap(({ old }) => old ?? []);
  const ids = [...new Set(olds.map(({ id }) => id))];
  const owners = [...new Set(olds.flatMap(({ ownerId }) => ownerId ?? []))];
  const deleted = await keepUsers(database, transaction, owners);
  // As a creation does, so that all of an owner's tools are counted.
  const counted = owners.map((ownerId) => `tools of user:${ownerId}`);
  if (counted.length > 0) await database.lock(transaction, counted, 'exclusive');
  const tools = await findKnownTools(database, transaction, ids);
  const builtins = await findKnownBuiltins(database, transaction);
  const moves = await findMoves(transaction, [...ids, ...[...builtins.values()].map(({ id }) => id)]);
  const owned = new Map<string, number>();

  async function isFull(ownerId: string | null): Promise<boolean> {
    if (ownerId === null) return false;
    const count = owned.get(ownerId) ?? (await countOwnedTools(database, ownerId, transaction));
    owned.set(ownerId, count);
    return count >= context.limits.toolsPerUser;
  }

  async function remember(
    old: OldTool,
    revision: number,
    events: 'tool.created' | 'tool.updated' | undefined,
  ) {
    const move = { id: old.id, sourceUpdatedAt: old.updatedAt, revision };
    await saveMove(transaction, move);
    moves.set(old.id, move);
    if (events) await recordEvent(database, transaction, { type: events, toolId: old.id }, context.now());
  }

  async function create({ record, fault }: CheckedRow, old: OldTool): Promise<Verdict> {
    if (!record) return rejected(fault);
    if (await isFull(old.ownerId)) {
      return rejected(
        `Its owner has ${context.limits.toolsPerUser} tools, as many as allowed (MAX_TOOLS_PER_USER).`,
      );
    }
    const promise = `${old.ownerId} ${record.name}`;
    const isTaken =
      plan.promisedNames?.has(promise) ||
      !(await insertTool(database, transaction, { ...record, revision: 1 }));
    if (isTaken) return rejected(nameTaken(old));
    plan.promisedNames?.add(promise);
    if (old.ownerId !== null) owned.set(old.ownerId, (owned.get(old.ownerId) ?? 0) + 1);
    tools.set(old.id, { ...record, revision: 1, createdAt: record.createdAt.getTime() });
    await remember(old, 1, 'tool.created');
    return { status: 'created', remark: '' };
  }

  async function update({ record, fault }: CheckedRow, old: OldTool, revision: number): Promise<Verdict> {
    if (!record) return rejected(fault);
    const bearer = await findIdByName(database, transaction, old.ownerId, record.name);
    if (bearer !== undefined && bearer !== old.id) return rejected(nameTaken(old));
    const replaced = await replaceTool(database, transaction, { ...record, revision: revision + 1 });
    if (!replaced) return { status: 'kept', remark: 'It was changed here at the same time.' };
    tools.set(old.id, { ...record, revision: revision + 1, createdAt: record.createdAt.getTime() });
    await remember(old, revision + 1, 'tool.updated');
    return { status: 'updated', remark: '' };
  }

  /** Gives a built-in tool that no row has been moved to yet this row's id; undefined where there is none. */
  async function createBuiltin({ pointer }: CheckedRow, old: OldTool): Promise<Verdict | undefined> {
    const builtin = plan.builtins.find((known) => known.pointer === pointer);
    const installed = builtins.get(builtin?.pointer ?? null);
    if (!builtin || (installed && moves.has(installed.id)) || plan.promisedNames?.has(builtin.pointer))
      return undefined;
    const taken = await takeBuiltin(context, transaction, builtin, installed, old);
    if (!taken) return rejected(nameTaken(old));
    plan.promisedNames?.add(builtin.pointer);
    builtins.set(builtin.pointer, taken);
    tools.set(old.id, taken);
    await remember(old, taken.revision, 'tool.created');
    return { status: 'created', remark: "It is the service's own tool now, with the row's id." };
  }

  async function decide(checked: CheckedRow): Promise<Verdict> {
    const { old, fault } = checked;
    if (!old) return rejected(fault);
    const known = tools.get(old.id);
    const move = moves.get(old.id);
    if (old.ownerId !== null && deleted.has(old.ownerId)) {
      return { status: 'skipped', remark: 'Its owner has been deleted.' };
    }
    if (!move) {
      if (known) return rejected('Another tool has this id here.');
      return (await createBuiltin(checked, old)) ?? create(checked, old);
    }
    if (!known) return { status: 'kept', remark: 'It was deleted here since.' };
    if (known.revision !== move.revision) return { status: 'kept', remark: 'It was changed here since.' };
    const isNewer = (old.updatedAt ?? -Infinity) > (move.sourceUpdatedAt ?? -Infinity);
    if (!isNewer) return { status: 'unchanged', remark: '' };
    if (known.builtin === null) return update(checked, old, move.revision);
    await remember(old, move.revision, undefined);
    return { status: 'unchanged', remark: "The service's own tool keeps its definition." };
  }

  const outcomes: RowOutcome[] = [];
  for (const checked of batch) outcomes.push({ row: checked.row, ...(await decide(checked)) });
  return outcomes;
}

function rejected(remark: string): Verdict {
  return { status: 'rejected', remark };
}

function nameTaken({ ownerId }: OldTool): string {
  return ownerId === null
    ? 'Another system tool here has this name.'
    : 'Another tool of the owner has this name here.';
}
