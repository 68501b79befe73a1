// What must hold of the environment of a container. Called by container-rules.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateEnv, ValidateEnvFrom

import {
  type FieldError,
  invalidValue,
  isConfigMapKey,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  required,
} from '@podless/apimachinery'
import { ENV_FIELDS, fieldRefErrors, resourceRefErrors } from './pod-field-rules.ts'
import { objectAt, objectsAt, textAt } from './reading.ts'

const PRINTABLE = /^[ -<>-~]+$/
const NAME_RULE =
  "a valid environment variable name must consist only of printable ASCII characters other than '='"

const nameErrors = (name: string, path: string): FieldError[] =>
  PRINTABLE.test(name) ? [] : [invalidValue(path, name, NAME_RULE)]

/** What is wrong with env and envFrom of a container at `path`. */
export function envErrors(container: JsonObject, path: string): FieldError[] {
  const errors = objectsAt(container, 'env').flatMap((variable, index) => {
    const where = `${path}.env[${index}]`
    const name = textAt(variable, 'name')
    return [
      ...(name === '' ? [required(`${where}.name`)] : nameErrors(name, `${where}.name`)),
      ...sourceErrors(variable, `${where}.valueFrom`),
    ]
  })
  objectsAt(container, 'envFrom').forEach((source, index) => {
    errors.push(...wholeSourceErrors(source, path, index))
  })
  return errors
}

const KEYS = ['configMapKeyRef', 'secretKeyRef']
const SOURCES = ['fieldRef', 'resourceFieldRef', ...KEYS, 'fileKeyRef']

function sourceErrors(variable: JsonObject, path: string): FieldError[] {
  if (!isObject(variable.valueFrom)) return []
  const from = variable.valueFrom
  const errors: FieldError[] = []
  if (isObject(from.fieldRef)) {
    errors.push(...fieldRefErrors(from.fieldRef, `${path}.fieldRef`, ENV_FIELDS))
  }
  if (isObject(from.resourceFieldRef)) {
    errors.push(...resourceRefErrors(from.resourceFieldRef, `${path}.resourceFieldRef`))
  }
  for (const field of KEYS) {
    if (isObject(from[field])) errors.push(...keyErrors(objectAt(from, field), `${path}.${field}`))
  }
  const given = SOURCES.filter(field => isObject(from[field])).length
  if (given === 0) {
    const detail =
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'
    errors.push(invalidValue(path, '', detail))
  } else if (textAt(variable, 'value') !== '') {
    errors.push(invalidValue(path, '', 'may not be specified when `value` is not empty'))
  } else if (given > 1) {
    errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'))
  }
  return errors
}

function keyErrors(reference: JsonObject, path: string): FieldError[] {
  const name = textAt(reference, 'name')
  const key = textAt(reference, 'key')
  return [
    ...isDns1123Subdomain(name).map(text => invalidValue(`${path}.name`, name, text)),
    ...(key === ''
      ? [required(`${path}.key`)]
      : isConfigMapKey(key).map(text => invalidValue(`${path}.key`, key, text))),
  ]
}

/** NOTE: upstream names the list and no item when the number of sources is wrong. */
function wholeSourceErrors(source: JsonObject, path: string, index: number): FieldError[] {
  const errors: FieldError[] = []
  const where = `${path}.envFrom[${index}]`
  const prefix = textAt(source, 'prefix')
  if (prefix !== '') errors.push(...nameErrors(prefix, `${where}.prefix`))
  const given = ['configMapRef', 'secretRef'].filter(field => isObject(source[field]))
  for (const field of given) {
    const name = textAt(source, [field, 'name'])
    const at = `${where}.${field}.name`
    if (name === '') errors.push(required(at))
    else errors.push(...isDns1123Subdomain(name).map(text => invalidValue(at, name, text)))
  }
  const list = `${path}.envFrom`
  if (given.length === 0) {
    errors.push(invalidValue(list, '', 'must specify one of: `configMapRef` or `secretRef`'))
  } else if (given.length > 1) {
    errors.push(invalidValue(list, '', 'may not have more than one field specified at a time'))
  }
  return errors
}
