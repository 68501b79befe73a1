// JSON with sorted keys, as Go prints maps: in messages, in printer columns, and to tell equal values by their text.
// Called by the files of this folder that show values; calls nothing.

import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'

/** The value with the keys of all its objects sorted; scalars are returned as they are. */
export function sortKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isObject(value)) return value
  const out: JsonObject = {}
  for (const key of Object.keys(value).sort()) {
    const child = value[key]
    if (child !== undefined) setOwn(out, key, sortKeys(child))
  }
  return out
}

/** One text for all equal values. */
export function sortedText(value: JsonValue): string {
  return JSON.stringify(sortKeys(value))
}
