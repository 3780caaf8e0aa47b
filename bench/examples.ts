import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../src/json.ts';
import { packageRoot } from '../src/package-root.ts';
import { hasToolData, readDataLines } from '../src/testing/tool-data.ts';

/** A tool as the corpus of real ones describes it. */
export interface CorpusTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
  readonly source: string;
}

/** The sample of real tools that comes with the project; see data/README.md. */
export const sampleTools: readonly CorpusTool[] = readFileSync(
  join(packageRoot, 'bench', 'data', 'restbench-sample.jsonl'),
  'utf8',
)
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as CorpusTool);

/** All tools of RestBench, for the APIs of TMDB and Spotify; where the data is not at hand, the sample of them. */
export function corpusTools(): readonly CorpusTool[] {
  if (!hasToolData) return sampleTools;
  return readDataLines<CorpusTool>('discovery/corpus.jsonl').filter(({ source }) => source === 'restbench');
}

/** The definition of a tool that runs at `url`. */
export function webhookDefinition({ name, description, parameters }: CorpusTool, url: string): JsonObject {
  return { name, description, parameters, execution: { type: 'webhook', url } };
}

/** The definitions of the ten tools that every user of the benchmarks owns. */
export const exampleDefinitions: readonly JsonObject[] = sampleTools
  .slice(0, 10)
  .map((tool) => webhookDefinition(tool, `https://tools.example.com/${tool.name}`));
