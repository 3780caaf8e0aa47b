import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { isMissing } from './src/testing/services.ts';

// Every test closes what it opens by scope, so files can share what is loaded: it takes a third off the run.
const shared = {
  isolate: false,
  testTimeout: 20_000,
  hookTimeout: 20_000,
  globalSetup: 'src/testing/drop-schemas.ts',
};

// For the end of the run, which drops them: see src/testing/drop-schemas.ts.
process.env.TEST_SCHEMA_PREFIX ??= `test_${Math.floor(Date.now() / 1000)}_${process.pid}_`;
const { TEST_SCHEMA_PREFIX } = process.env;

const everything = ['src/**/*.test.ts', 'bench/**/*.test.ts'];

/**
 * The tests that open a database, of whichever engine: those of the stores, and of what callers rely on. A test that is
 * about one engine says so, by what it imports or asks for.
 */
const onAnyEngine = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && !file.startsWith('db'))
  .map((file) => join('src', file))
  .filter((file) => {
    const text = readFileSync(file, 'utf8');
    const opens = /\b(?:startTestService|openTestDatabase|makeTestDatabase)\(/.test(text);
    const isAboutOne = /\/db\/sqlite\/|\.folder\b|TestDatabase\((?:'|engine)|\{ engine \}/.test(text);
    return opens && !isAboutOne;
  });

/** PGlite is slow to start and to run: it has those that say the most of what callers see. */
const onPglite = onAnyEngine.filter((file) =>
  /transports\/(?:rest\/(?:tools|validate|execut)|rpc\/(?:tools|execute|history)|foreign)|tools\/registry/.test(
    file,
  ),
);

const project = (name: string, include: readonly string[], workers?: number) => ({
  test: {
    ...shared,
    name,
    include: [...include],
    env: { TEST_DATABASE: name, TEST_SCHEMA_PREFIX },
    // It takes seconds to start, and on a busy machine many.
    ...(name === 'pglite' ? { testTimeout: 60_000, hookTimeout: 60_000 } : {}),
    ...(workers === undefined ? {} : { maxWorkers: workers }),
  },
});

const chosen = process.env.TEST_DATABASE;

export default defineConfig(async () => ({
  test: {
    projects:
      chosen !== undefined
        ? [project(chosen, everything)]
        : (await isMissing('postgres'))
          ? [project('sqlite', everything), project('pglite', onAnyEngine)]
          : [project('sqlite', everything), project('postgres', onAnyEngine), project('pglite', onPglite, 1)],
  },
}));
