// The one place that loads ajv, for files that users bring: config-file.ts and checked-file.ts import it when there is one.
// NOTE: a dynamic import of this CommonJS package would have nothing but its default export once it is bundled.

import { Ajv, type Schema, type ValidateFunction } from 'ajv'

/** A function that says whether a value fits, with every error in its `errors`. Throws when the schema is none. */
export function compileSchema<T = unknown>(schema: Schema): ValidateFunction<T> {
  return new Ajv({ allErrors: true, verbose: true }).compile<T>(schema)
}
