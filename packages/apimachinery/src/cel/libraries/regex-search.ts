// find and findAll. Called by registry.ts. Ref: apiserver/pkg/cel/library/regex.go

import type { Library } from '../function.ts'
import { compileRegex } from '../regex.ts'
import { ArrayList, CelError, type CelValue } from '../value.ts'

function find(text: string, pattern: string): CelValue {
  const regex = compileRegex(pattern)
  if (regex instanceof CelError) return new CelError(`Illegal regex: ${regex.message}`)
  const matcher = regex.matcher(text)
  return matcher.find() ? (matcher.group() ?? '') : ''
}

function findAll(text: string, pattern: string, limit = -1n): CelValue {
  const regex = compileRegex(pattern)
  if (regex instanceof CelError) return new CelError(`Illegal regex: ${regex.message}`)
  const matcher = regex.matcher(text)
  const found: string[] = []
  let end = -1
  while ((limit < 0n || BigInt(found.length) < limit) && matcher.find()) {
    // An empty match next to the one before does not count.
    if (matcher.start() === matcher.end() && matcher.start() === end) continue
    end = matcher.end()
    found.push(matcher.group() ?? '')
  }
  return new ArrayList(found)
}

export const REGEX_SEARCH: Library = {
  find: { string_find_string: ['string.(string) -> string', find] },
  findAll: {
    string_find_all_string: ['string.(string) -> list(string)', findAll],
    string_find_all_string_int: ['string.(string, int) -> list(string)', findAll],
  },
}
