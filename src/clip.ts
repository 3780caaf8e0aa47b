/** A stranger's text within a message: at most `longest` characters of it, none cut in half. */
export function clip(text: string, longest = 60): string {
  if (text.length <= longest) return text.toWellFormed();
  return `${text.slice(0, longest).replace(/[\uD800-\uDBFF]$/, '')}…`.toWellFormed();
}
