// How Go's JSON decoder names the kind of a value it could not store. Called by the patch decoders
// for their 400 texts.

import { isJsonNumber } from '../int64.ts'
import type { JsonValue } from '../json.ts'

/**
 * `object`, `array`, `string`, `number`, `bool` or `null`. Ref: encoding/json
 * UnmarshalTypeError.Value
 */
export function goJsonType(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (isJsonNumber(value)) return 'number'
  return typeof value === 'boolean' ? 'bool' : typeof value
}
