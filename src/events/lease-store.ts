import { and, eq, gt, sql } from 'drizzle-orm';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';

const { placeholder } = sql;

type LeaseRow = Database['tables']['leases']['$inferSelect'];

/** Who has a lease, and until when in milliseconds since 1970; 0 when it was given back. */
export type LeaseState = Pick<LeaseRow, 'holder' | 'heldUntil'>;

const reads = preparedOnce((database, handle) => {
  const { leases } = database.tables;
  const { name, holder, heldUntil } = leases;
  return {
    lease: database.prepare(
      handle,
      'lease',
      handle
        .select({ holder, heldUntil })
        .from(leases)
        .where(eq(name, placeholder('name'))),
    ),
  };
});

const writes = preparedOnce((database, handle) => {
  const { leases } = database.tables;
  const isHeld = and(
    eq(leases.name, placeholder('name')),
    eq(leases.holder, placeholder('holder')),
    gt(leases.heldUntil, 0),
  );
  return {
    take: handle
      .insert(leases)
      .values({
        name: placeholder('name'),
        holder: placeholder('holder'),
        heldUntil: placeholder('heldUntil'),
      })
      .onConflictDoUpdate({
        target: leases.name,
        set: { holder: sql`excluded.holder`, heldUntil: sql`excluded.held_until` },
        setWhere: sql`${leases.holder} = ${placeholder('seenHolder')} and ${leases.heldUntil} = ${placeholder('seenHeldUntil')}`,
      })
      .returning({ name: leases.name })
      .prepare('take_lease'),
    extend: handle
      .update(leases)
      .set({ heldUntil: sql`${placeholder('heldUntil')}` })
      .where(isHeld)
      .returning({ name: leases.name })
      .prepare('extend_lease'),
    free: handle.update(leases).set({ heldUntil: 0 }).where(isHeld).prepare('free_lease'),
  };
});

/** What is known of a lease; undefined when nobody ever had it. */
export async function findLease(database: Database, name: string): Promise<LeaseState | undefined> {
  const [row] = await reads(database).lease({ name });
  return row;
}

/** Takes a lease, if nothing has become of it since it was seen so. @returns whether it was taken. */
export async function takeLease(
  database: Database,
  transaction: Transaction,
  lease: LeaseRow,
  seen: LeaseState | undefined,
): Promise<boolean> {
  const { holder: seenHolder, heldUntil: seenHeldUntil } = seen ?? { holder: '', heldUntil: 0 };
  const { take } = writes(database, transaction);
  const rows = await take.execute({ ...lease, seenHolder, seenHeldUntil });
  return rows.length > 0;
}

/** Moves on the end of a lease. @returns false when it was given back or is another's by now. */
export async function extendLease(
  database: Database,
  transaction: Transaction,
  lease: LeaseRow,
): Promise<boolean> {
  const rows = await writes(database, transaction).extend.execute({ ...lease });
  return rows.length > 0;
}

/** Gives a lease back, unless it is another's by now. */
export async function freeLease(
  database: Database,
  transaction: Transaction,
  lease: Pick<LeaseRow, 'name' | 'holder'>,
): Promise<void> {
  await writes(database, transaction).free.execute({ ...lease });
}
