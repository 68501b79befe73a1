// What a program answered, read as texts. Called by api/src/auth/claim-mapping.ts through index.ts.

import { CelList } from './value.ts'

/** A string alone or those of a list; none for null. Undefined when it is, or holds, anything else. */
export function stringsOf(value: unknown): string[] | undefined {
  if (value === null) return []
  if (typeof value === 'string') return [value]
  if (!(value instanceof CelList)) return undefined
  const texts: string[] = []
  for (const item of value) {
    if (typeof item !== 'string') return undefined
    texts.push(item)
  }
  return texts
}
