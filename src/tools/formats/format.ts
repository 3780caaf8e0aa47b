import { clip } from '../../clip.ts';
import { invalidField } from '../../errors.ts';

/** The APIs that tools can be given out for. */
export const toolFormats = ['openai', 'anthropic', 'mcp', 'gemini'] as const;
export type ToolFormat = (typeof toolFormats)[number];

/** The format of this name. @throws ServiceError `invalid_argument` naming what was asked for. */
export function readFormat(text: string): ToolFormat {
  const format = toolFormats.find((known) => known === text);
  if (format) return format;
  throw invalidField('format', `"${clip(text)}" is not a valid choice: ${toolFormats.join(', ')}.`);
}
