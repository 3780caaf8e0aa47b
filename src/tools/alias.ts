import { createHash } from 'node:crypto';

/** What the model APIs allow as a tool's name. */
const ALLOWED = /^[A-Za-z0-9_-]{1,64}$/;

/** What stands before the mark of a suffixed name, at most. */
const MAX_STEM = 57;

/**
 * What a tool's name becomes where model APIs do not allow it: other characters become `_`, cut to 64. Null where the
 * name is allowed as it is.
 */
export function aliasOf(name: string): string | null {
  return ALLOWED.test(name) ? null : name.replace(/[^A-Za-z0-9_-]/gu, '_').slice(0, 64);
}

/** A name for a tool whose plain one could mean another tool too: with a mark made of the tool's id. */
export function suffixedName(plain: string, toolId: string): string {
  const mark = createHash('sha256').update(toolId).digest('hex').slice(0, 6);
  return `${plain.slice(0, MAX_STEM)}_${mark}`;
}

/** Gemini wants a letter or `_` at the beginning. Undefined where the name begins with one. */
export function prefixedName(plain: string): string | undefined {
  return /^[0-9-]/.test(plain) ? `_${plain}`.slice(0, 64) : undefined;
}

/**
 * What a call's name may have been before `prefixedName`; undefined where that cannot have made it. A name that was cut
 * for it is given out in its suffixed form alone.
 */
export function unprefixedName(name: string): string | undefined {
  return /^_[0-9-]/.test(name) ? name.slice(1) : undefined;
}

/** The stem of a name that `suffixedName` may have made, and whether it may have been cut there. */
export function stemOf(name: string): { readonly stem: string; readonly isCut: boolean } | undefined {
  const stem = /^([A-Za-z0-9_-]+)_[0-9a-f]{6}$/.exec(name)?.[1];
  if (stem === undefined || stem.length > MAX_STEM) return undefined;
  return { stem, isCut: stem.length === MAX_STEM };
}
