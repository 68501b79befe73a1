// Paths that point at a field of a schema: a rule's fieldPath, a selectable field. Called by rules.ts and the CRD checks.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go ValidFieldPath

import type { SchemaNode } from './node.ts'

export type SchemaPath =
  | { readonly ok: true; readonly path: string; readonly node: SchemaNode }
  | { readonly ok: false; readonly error: string }

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  "'": "'",
  '\\': '\\',
}

/**
 * Follows `.a.b['c.d']` through the schema. The result's `path` is as field errors print it: `a.b[c.d]` where c.d is a
 * key of a map. Errors are upstream's sentences.
 */
export function resolveFieldPath(
  text: string,
  root: SchemaNode,
  options: { readonly brackets?: boolean } = {},
): SchemaPath {
  const tokens = tokenize(text)
  let node = root
  let path = ''
  for (let i = 0; i < tokens.length; i++) {
    let name: string | undefined
    if (tokens[i] === '.') name = tokens[++i]
    else if (tokens[i] === '[') {
      if (options.brackets === false) return failed('array notation is not allowed')
      const literal = tokens[++i]
      if (literal === undefined) return failed('unexpected end of JSON path')
      if (!/^'.*'$/s.test(literal) || literal.length < 2) {
        return failed(`expected single quoted string but got ${literal}`)
      }
      const [unescaped, stray] = unquote(literal.slice(1, -1))
      if (stray !== undefined) {
        return failed(`invalid string literal: invalid escape char ${stray}`)
      }
      name = unescaped
    } else return failed(`expected [ or . but got: ${tokens[i]}`)
    if (name === undefined) return failed('unexpected end of JSON path')

    const child = node.properties ? node.properties.get(name) : node.additionalProperties
    if (child === undefined) return failed('does not refer to a valid field')
    path = node.properties ? (path === '' ? name : `${path}.${name}`) : `${path}[${name}]`
    node = child
    if (tokens[i - 1] === '[') {
      const close = tokens[++i]
      if (close === undefined) return failed('unexpected end of JSON path')
      if (close !== ']') return failed(`expected ] but got ${close}`)
    }
  }
  return { ok: true, path, node }
}

const failed = (error: string): SchemaPath => ({ ok: false, error })

/** Dots and brackets are tokens, and so is what stands between them; quotes hide delimiters. */
function tokenize(text: string): string[] {
  return text.match(/'(?:[^'\\]|\\.)*'|'.*$|[.[\]]|[^.[\]]+/gs) ?? []
}

function unquote(text: string): [string, string | undefined] {
  let stray: string | undefined
  const result = text.replace(/\\./gs, match => {
    const char = ESCAPES[match[1]!]
    if (char === undefined) stray = match
    return char ?? ''
  })
  return [result, stray]
}
