/** Why an operation cannot become a tool, in words for whoever imports it. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
}
