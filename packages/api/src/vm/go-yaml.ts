// YAML byte for byte as istioctl prints it, for the mesh.yaml of a bundle: which style a string gets, where long lines
// fold, how keys sort. Called by bundle.ts. Ref: go.yaml.in/yaml/v2 encode.go, emitterc.go, sorter.go

import { isObject, type JsonObject, type JsonValue, parseYaml } from '@podless/apimachinery'

/** Lines fold at the first blank beyond this column. */
const WIDTH = 80

/** Writes a map as a block, keys sorted, lists at the level of their key. */
export function goYaml(value: JsonObject): string {
  return mapping(value, 0)
    .map(line => `${line}\n`)
    .join('')
}

function mapping(map: JsonObject, indent: number): string[] {
  const pad = ' '.repeat(indent)
  const keys = Object.keys(map).filter(key => map[key] !== undefined)
  return keys.sort(compareKeys).flatMap(key => {
    const head = `${pad}${scalar(key, 0, 0)}:`
    const value = map[key] ?? null
    if (isObject(value))
      return isEmpty(value) ? [`${head} {}`] : [head, ...mapping(value, indent + 2)]
    if (Array.isArray(value))
      return value.length === 0 ? [`${head} []`] : [head, ...sequence(value, indent)]
    return `${head} ${scalar(value, indent + 2, head.length)}`.split('\n')
  })
}

function sequence(items: readonly JsonValue[], indent: number): string[] {
  const pad = ' '.repeat(indent)
  return items.flatMap(item => {
    if (!isObject(item) || isEmpty(item)) {
      const text = isObject(item) || Array.isArray(item) ? JSON.stringify(item) : undefined
      return `${pad}- ${text ?? scalar(item as string, indent + 2, indent + 2)}`.split('\n')
    }
    const [first = '', ...rest] = mapping(item, indent + 2)
    return [`${pad}- ${first.trimStart()}`, ...rest]
  })
}

const isEmpty = (map: JsonObject): boolean => Object.values(map).every(one => one === undefined)

function scalar(value: Exclude<JsonValue, JsonObject>, indent: number, column: number): string {
  if (typeof value !== 'string') return String(value)
  if (value === '' || means(value)) return JSON.stringify(value)
  if (hasSpecial(value)) return JSON.stringify(value)
  if (value.includes('\n')) return literal(value, indent)
  const quoted = !isPlain(value)
  return fold(quoted ? `'${value.replaceAll("'", "''")}'` : value, indent, column)
}

/** True when the text would be read back as something else than itself. */
function means(text: string): boolean {
  if (/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text)) return true
  if (/^\d{4}-\d\d?-\d\d?(?:[Tt ].*)?$/.test(text)) return true
  if (!/^[-+.0-9A-Za-z~<]/.test(text) || /[:#\s]/.test(text)) return false
  return parseYaml(text, { strict: false }).value !== text
}

const hasSpecial = (text: string): boolean =>
  /[\u0000-\u0008\u000b-\u001f\u007f\ufeff\u2028\u2029]/.test(text) ||
  (text.includes('\n') && / (?:\n|$)/.test(text))

function isPlain(text: string): boolean {
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?:\s|$)/.test(text)) return false
  if (/^(?:---|\.\.\.)/.test(text) || /^\s|\s$/.test(text)) return false
  return !/:(?:\s|$)|\s#|\t/.test(text)
}

function literal(text: string, indent: number): string {
  const chomp = text.endsWith('\n') ? (text.endsWith('\n\n') ? '+' : '') : '-'
  const hint = /^[\s]/.test(text) ? '2' : ''
  const lines = (chomp === '-' ? text : text.slice(0, -1)).split('\n')
  const pad = ' '.repeat(indent)
  return [`|${hint}${chomp}`, ...lines.map(line => (line === '' ? '' : `${pad}${line}`))].join('\n')
}

/** Breaks a line at single blanks once it is wider than WIDTH. */
function fold(text: string, indent: number, start: number): string {
  let column = start + 1
  let out = ''
  for (let i = 0; i < text.length; i += 1) {
    const isBlank = text[i] === ' '
    const isSingle = text[i - 1] !== ' ' && text[i + 1] !== ' '
    if (isBlank && isSingle && column > WIDTH && i > 0 && i < text.length - 1) {
      out += `\n${' '.repeat(indent)}`
      column = indent
      continue
    }
    out += text[i]
    column += 1
  }
  return out
}

const isLetter = (char: string): boolean => /\p{L}/u.test(char)
const leadingDigits = (text: string): string => /^\d*/.exec(text)?.[0] ?? ''

/** Letters after everything else, numbers by value. Ref: sorter.go keyList.Less */
function compareKeys(a: string, b: string): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1
  const [left, right] = [a[at], b[at]]
  if (left === undefined || right === undefined) return a.length - b.length
  if (isLetter(left) !== isLetter(right)) return isLetter(left) ? 1 : -1
  const numbers = [leadingDigits(a.slice(at)), leadingDigits(b.slice(at))] as const
  const difference = isLetter(left) ? 0 : Number(numbers[0]) - Number(numbers[1])
  return difference || left.charCodeAt(0) - right.charCodeAt(0)
}
