import { type Connection, Sqlite } from '../../db/sqlite/driver.ts';

/** The table of the service that this one replaces: Django's name for the model `Tool` of its app `tools`. */
const TABLE = 'tools_tool';

/** Without these columns it is another table. */
const NEEDED = ['id', 'name', 'definition', 'owner_id'];

/** A row as it stands, by the names of its columns. */
export type DjangoRow = Readonly<Record<string, unknown>>;

/** The old service's database, open for reading. */
export interface DjangoDatabase extends Disposable {
  /** The rows of its table. */
  readonly count: number;
  /** Its rows one by one, in the order in which they were made; all as of the moment of the first. */
  rows(): Iterable<DjangoRow>;
}

/**
 * Opens the database of the old service, for reading alone. Close it by scope.
 *
 * @throws Error in words for the operator when it is not there, or is no such database.
 */
export function openDjango(file: string): DjangoDatabase {
  const connection = connect(file);
  try {
    const columns = (connection.pragma(`table_info("${TABLE}")`) as { name: string }[]).map(
      ({ name }) => name,
    );
    if (columns.length === 0) throw new Error(`it has no table ${TABLE}`);
    const missing = NEEDED.filter((name) => !columns.includes(name));
    if (missing.length > 0) throw new Error(`its table ${TABLE} has no column ${missing.join(', ')}`);
    const { count } = connection.prepare(`select count(*) as count from "${TABLE}"`).get() as {
      count: number;
    };
    const select = connection.prepare(`select * from "${TABLE}"`);
    return {
      count,
      rows: () => select.iterate() as Iterable<DjangoRow>,
      [Symbol.dispose]: () => connection.close(),
    };
  } catch (error) {
    connection.close();
    throw unreadable(file, error);
  }
}

function connect(file: string): Connection {
  try {
    return new Sqlite(file, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`${file} is not a database of the old service that can be read: ${reason}`, {
    cause: error,
  });
}
