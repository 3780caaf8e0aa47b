/** A schema that can't be used. The message is for the schema's author. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  /** JSON pointer (RFC 6901) to the offending place in the schema; '' is its top. */
  readonly pointer: string;

  constructor(pointer: string, message: string) {
    super(`${pointer === '' ? '(top level)' : pointer}: ${message}`);
    this.pointer = pointer;
  }
}
