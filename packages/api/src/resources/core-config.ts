// ConfigMaps and Secrets: keys, sizes, immutability, and what each type of Secret must hold. Part of core.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateConfigMap, ValidateSecret

import {
  equalJson,
  type FieldError,
  forbiddenField,
  immutableField,
  invalidValue,
  isConfigMapKey,
  isObject,
  type KubeObject,
  required,
  tooLong,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { goJsonSyntaxError } from './json-syntax.ts'
import { ensureObject, fillEmpty, mapAt, textAt, valueAt } from './reading.ts'
import { tlsPairProblem } from './tls-pair.ts'

/** Of all values together; etcd's own limit on a request is 1.5 MiB. */
const DATA_BYTES_MAX = 1024 * 1024
const FROZEN = 'field is immutable when `immutable` is set'

const base64Bytes = (text: string): number => Buffer.byteLength(text, 'base64')

function keyErrors(path: string, keys: readonly string[]): FieldError[] {
  return keys.flatMap(key =>
    isConfigMapKey(key).map(sentence => invalidValue(`${path}[${key}]`, key, sentence)),
  )
}

/** Once `immutable` is true it stays, and so do these fields. */
function frozenErrors(obj: KubeObject, old: KubeObject, fields: readonly string[]): FieldError[] {
  if (old.immutable !== true) return []
  const errors = obj.immutable === true ? [] : [forbiddenField('immutable', FROZEN)]
  for (const field of fields) {
    if (!equalJson(obj[field] ?? {}, old[field] ?? {})) errors.push(forbiddenField(field, FROZEN))
  }
  return errors
}

function configMapErrors(obj: KubeObject): FieldError[] {
  const data = mapAt(obj, 'data')
  const binary = mapAt(obj, 'binaryData')
  const errors = keyErrors('data', Object.keys(data))
  for (const key of Object.keys(data)) {
    if (!Object.hasOwn(binary, key)) continue
    errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'))
  }
  errors.push(...keyErrors('binaryData', Object.keys(binary)))
  let size = 0
  for (const value of Object.values(data)) size += Buffer.byteLength(value)
  for (const value of Object.values(binary)) size += base64Bytes(value)
  // NOTE: the path of the whole object is upstream's empty path, which prints as [].
  if (size > DATA_BYTES_MAX) errors.push(tooLong('[]', DATA_BYTES_MAX))
  return errors
}

const configMapStrategy: Strategy = {
  validate: configMapErrors,
  validateUpdate: (obj, old) => [
    ...frozenErrors(obj, old, ['data', 'binaryData']),
    ...configMapErrors(obj),
  ],
}

const configMaps = builtin({
  group: '',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  strategy: configMapStrategy,
  columns: [
    NAME,
    column(
      'Data',
      'How many entries the ConfigMap has, counting those whose values are text and those whose values are bytes.',
      obj => Object.keys(mapAt(obj, 'data')).length + Object.keys(mapAt(obj, 'binaryData')).length,
    ),
    AGE,
  ],
})

/** stringData is write-only: each entry becomes the base64 of its UTF-8 in data. */
function mergeStringData(obj: KubeObject): void {
  const plain = obj.stringData
  delete obj.stringData
  if (!isObject(plain) || Object.keys(plain).length === 0) return
  const data = ensureObject(obj, 'data')
  for (const [key, value] of Object.entries(plain)) {
    data[key] = Buffer.from(String(value), 'utf8').toString('base64')
  }
}

const decoded = (obj: KubeObject, key: string): string | undefined => {
  const value = valueAt(obj, ['data', key])
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined
}
const missing = (key: string): FieldError => required(`data[${key}]`)

function jsonEntryErrors(obj: KubeObject, key: string): FieldError[] {
  const text = decoded(obj, key)
  if (text === undefined) return [missing(key)]
  const problem = goJsonSyntaxError(text)
  return problem === undefined
    ? []
    : [invalidValue(`data[${key}]`, '<secret contents redacted>', problem)]
}

const presentKeys = (obj: KubeObject, keys: readonly string[]): FieldError[] =>
  keys.filter(key => decoded(obj, key) === undefined).map(missing)

const ACCOUNT_ANNOTATION = 'kubernetes.io/service-account.name'

/** What each well-known type demands; any other type may hold anything. */
const TYPE_RULES: Readonly<Record<string, (obj: KubeObject) => FieldError[]>> = {
  'kubernetes.io/service-account-token': obj =>
    (obj.metadata.annotations?.[ACCOUNT_ANNOTATION] ?? '') === ''
      ? [required(`metadata.annotations[${ACCOUNT_ANNOTATION}]`)]
      : [],
  'kubernetes.io/dockercfg': obj => jsonEntryErrors(obj, '.dockercfg'),
  'kubernetes.io/dockerconfigjson': obj => jsonEntryErrors(obj, '.dockerconfigjson'),
  'kubernetes.io/basic-auth': obj => {
    const absent = presentKeys(obj, ['username', 'password'])
    return absent.length === 2 ? absent : []
  },
  'kubernetes.io/ssh-auth': obj =>
    (decoded(obj, 'ssh-privatekey') ?? '') === '' ? [missing('ssh-privatekey')] : [],
  'kubernetes.io/tls': obj => presentKeys(obj, ['tls.crt', 'tls.key']),
}

function secretErrors(obj: KubeObject): FieldError[] {
  const data = mapAt(obj, 'data')
  const errors = keyErrors('data', Object.keys(data))
  const size = Object.values(data).reduce((sum, value) => sum + base64Bytes(value ?? ''), 0)
  if (size > DATA_BYTES_MAX) errors.push(tooLong('data', DATA_BYTES_MAX))
  const type = textAt(obj, 'type')
  const rule = Object.hasOwn(TYPE_RULES, type) ? TYPE_RULES[type] : undefined
  return [...errors, ...(rule?.(obj) ?? [])]
}

/** A pair that does not fit is stored all the same, and said to be one. */
function secretWarnings(obj: KubeObject): string[] {
  if (textAt(obj, 'type') !== 'kubernetes.io/tls') return []
  const problem = tlsPairProblem(decoded(obj, 'tls.crt') ?? '', decoded(obj, 'tls.key') ?? '')
  return problem === undefined ? [] : [problem]
}

const secretStrategy: Strategy = {
  warnings: secretWarnings,
  default: obj => {
    mergeStringData(obj)
    fillEmpty(obj, { type: 'Opaque' })
  },
  validate: secretErrors,
  validateUpdate: (obj, old) => [
    ...immutableField(obj.type, old.type, 'type'),
    ...frozenErrors(obj, old, ['data']),
    ...secretErrors(obj),
  ],
}

const secrets = builtin({
  group: '',
  kind: 'Secret',
  plural: 'secrets',
  strategy: secretStrategy,
  columns: [
    NAME,
    textColumn(
      'Type',
      'type',
      'What the data means: a well-known type has keys that must be there, Opaque (the default) may hold anything.',
    ),
    column(
      'Data',
      'How many entries the Secret has; their values are not shown, as they are what it is there to protect.',
      obj => Object.keys(mapAt(obj, 'data')).length,
    ),
    AGE,
  ],
  selectableFields: { type: obj => textAt(obj, 'type') },
})

export const configResources: readonly Resource[] = [configMaps, secrets]
