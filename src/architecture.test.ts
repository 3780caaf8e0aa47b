import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from './package-root.ts';

// The rules of the house, held against every import of the product's code.

const source = join(packageRoot, 'src');

interface Import {
  /** The importing file, relative to `src`. */
  readonly file: string;
  /** A file relative to `src`, or a package. */
  readonly target: string;
  /** Whether it is gone when the program runs. */
  readonly typeOnly: boolean;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter(
    (file) =>
      file.endsWith('.ts') &&
      !/\.test\.ts$|^gen\/|^testing\/|\/(?:test-|testing\.)|-for-tests\.ts$/.test(file),
  );

const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(source, file), 'utf8');
  return [
    ...text.matchAll(/(?:^|\n)(?:import|export)\s(type\s)?[^;]*?from '([^']+)'|import\('([^']+)'\)/g),
  ].map((match) => {
    const specifier = match[2] ?? match[3] ?? '';
    const target = specifier.startsWith('.')
      ? relative(source, join(source, dirname(file), specifier)).replaceAll('\\', '/')
      : specifier;
    return { file, target, typeOnly: match[1] !== undefined };
  });
});

const FEATURES = ['tools', 'execution', 'history', 'discovery', 'events', 'users', 'user-deletion'];
const GROUND =
  /^(?:caller|cancellation|errors|fold-names|shared-budget|json|uuid|encryption|lru-cache|mutex|package-root)\.ts$|^(?:db|egress|json-schema|tracing|broker)\//;

const roomOf = (file: string) => file.split('/')[0] ?? '';
const isFeature = (file: string) => FEATURES.includes(roomOf(file));
const transportOf = (file: string) => /^transports\/(rest|rpc|listener)\//.exec(file)?.[1];

function violations(rule: (edge: Import) => boolean): string[] {
  return imports.filter(rule).map(({ file, target }) => `${file} -> ${target}`);
}

describe('the architecture', () => {
  it('reads the imports at all', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports).toContainEqual({ file: 'main.ts', target: 'service.ts', typeOnly: false });
  });

  it('lets transports import features, never the database, stores, events or one another', () => {
    expect(
      violations(
        ({ file, target }) =>
          file.startsWith('transports/') &&
          (/^db\/|^events\/|-store\.ts$/.test(target) ||
            (transportOf(file) !== undefined &&
              transportOf(target) !== undefined &&
              transportOf(file) !== transportOf(target))),
      ),
    ).toEqual([]);
  });

  it('keeps frameworks, generated code and the process out of features', () => {
    const foreign =
      /^(?:fastify|@fastify\/|@connectrpc\/|rabbitmq-client|node:process$)|^gen\/|^transports\//;
    expect(violations(({ file, target }) => isFeature(file) && foreign.test(target))).toEqual([]);
    const touching = files.filter(
      (file) =>
        !/^(?:main\.ts|cli\/)/.test(file) &&
        /(?<!\.)\bprocess\.(?:env|argv|exit|on|cwd|kill|std\w+)\b/.test(
          readFileSync(join(source, file), 'utf8'),
        ),
    );
    expect(touching).toEqual([]);
  });

  it('lets only stores and db/ import drizzle, and only the RPC transport the generated code', () => {
    expect(
      violations(
        ({ file, target }) =>
          (/^drizzle-orm|^better-sqlite3/.test(target) && !/^db\/|-store\.ts$/.test(file)) ||
          (target.startsWith('gen/') && !file.startsWith('transports/rpc/')),
      ),
    ).toEqual([]);
  });

  it('lets only broker/ import the client of RabbitMQ, and only the throttle that of Redis', () => {
    expect(
      violations(
        ({ file, target }) =>
          (target === 'rabbitmq-client' && !file.startsWith('broker/')) ||
          (target === '@redis/client' && !file.startsWith('transports/throttle/')),
      ),
    ).toEqual([]);
  });

  it('keeps the ground floor from knowing anybody above it', () => {
    expect(
      violations(
        ({ file, target, typeOnly }) =>
          GROUND.test(file) &&
          // What a publisher is, those say who need one.
          !(typeOnly && target === 'events/publisher.ts') &&
          (isFeature(target) || /^transports\/|^(?:service|config|main)\.ts$/.test(target)),
      ),
    ).toEqual([]);
  });

  it('has no circle of imports', () => {
    const targets = new Map(
      files.map((file) => [
        file,
        imports.filter((edge) => edge.file === file && !edge.typeOnly).map((edge) => edge.target),
      ]),
    );
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]) => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      state.set(file, 'open');
      for (const target of targets.get(file) ?? []) if (targets.has(target)) visit(target, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  it('has no circle of features', () => {
    const edges = new Set(
      imports
        .filter(({ file, target }) => isFeature(file) && isFeature(target) && roomOf(file) !== roomOf(target))
        .map(({ file, target }) => `${roomOf(file)} -> ${roomOf(target)}`),
    );
    const back = [...edges].filter((edge) => edges.has(edge.split(' -> ').reverse().join(' -> ')));
    expect(back).toEqual([]);
  });
});
