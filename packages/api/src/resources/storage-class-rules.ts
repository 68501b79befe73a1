// What must hold of classes of volumes. Called by storage.ts. Ref: kubernetes/pkg/apis/storage/validation

import {
  duplicate,
  equalJson,
  type FieldError,
  forbiddenField,
  immutableField,
  invalidValue,
  isQualifiedName,
  type KubeObject,
  notSupported,
  required,
  tooLong,
} from '@podless/apimachinery'
import { mapAt, objectsAt, textAt, textsAt } from './reading.ts'

const RECLAIM_POLICIES = ['Delete', 'Retain']
const BINDING_MODES = ['Immediate', 'WaitForFirstConsumer']
const PARAMETERS_MAX = 512
const PARAMETER_BYTES_MAX = 256 * 1024

function ownerErrors(obj: KubeObject, field: string): FieldError[] {
  const name = textAt(obj, field)
  if (name === '') return [required(field)]
  const lower = name.toLowerCase()
  return isQualifiedName(lower).map(text => invalidValue(field, lower, text))
}

function parameterErrors(obj: KubeObject): FieldError[] {
  const entries = Object.entries(mapAt(obj, 'parameters'))
  if (entries.length > PARAMETERS_MAX) return [tooLong('parameters', PARAMETERS_MAX)]
  const unnamed = entries.filter(([key]) => key === '')
  const bytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(entry.join('')), 0)
  return [
    ...unnamed.map(([key]) => invalidValue('parameters', key, 'field can not be empty.')),
    ...(bytes > PARAMETER_BYTES_MAX ? [tooLong('parameters', PARAMETER_BYTES_MAX)] : []),
  ]
}

function topologyErrors(obj: KubeObject): FieldError[] {
  const seen: string[] = []
  return objectsAt(obj, 'allowedTopologies').flatMap((term, index) => {
    const path = `allowedTopologies[${index}].matchLabelExpressions`
    const known = new Map<string, readonly string[]>()
    const errors = objectsAt(term, 'matchLabelExpressions').flatMap((expression, at) => {
      const key = textAt(expression, 'key')
      const values = textsAt(expression, 'values')
      const found = expressionErrors(key, values, `${path}[${at}]`)
      if (known.has(key)) found.push(duplicate(`${path}[${at}].key`, key))
      known.set(key, [...new Set(values)].sort())
      return found
    })
    const shape = JSON.stringify([...known].sort())
    if (seen.includes(shape)) errors.push(duplicate(path, ''))
    seen.push(shape)
    return errors
  })
}

function expressionErrors(key: string, values: readonly string[], path: string): FieldError[] {
  const errors = values.length === 0 ? [required(`${path}.values`)] : []
  values.forEach((value, index) => {
    if (values.indexOf(value) < index) errors.push(duplicate(`${path}.values[${index}]`, value))
  })
  const wrong = isQualifiedName(key).map(text => invalidValue(`${path}.key`, key, text))
  return [...errors, ...wrong]
}

/** Everything wrong with a StorageClass. */
export function classErrors(obj: KubeObject): FieldError[] {
  const errors = [...ownerErrors(obj, 'provisioner'), ...parameterErrors(obj)]
  for (const [field, allowed] of [
    ['reclaimPolicy', RECLAIM_POLICIES],
    ['volumeBindingMode', BINDING_MODES],
  ] as const) {
    const value = textAt(obj, field)
    if (value !== '' && !allowed.includes(value)) errors.push(notSupported(field, value, allowed))
  }
  return [...errors, ...topologyErrors(obj)]
}

/** What may not change about a StorageClass. */
export function classUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const fields = ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode']
  const changed = fields.flatMap(field =>
    immutableField(obj[field] ?? null, old[field] ?? null, field),
  )
  const mode = textAt(obj, 'volumeBindingMode')
  if (BINDING_MODES.includes(mode)) return changed
  return [...changed, notSupported('volumeBindingMode', mode, BINDING_MODES)]
}

/** Everything wrong with a VolumeAttributesClass. */
export function attributesErrors(obj: KubeObject): FieldError[] {
  const isEmpty = Object.keys(mapAt(obj, 'parameters')).length === 0
  return [
    ...ownerErrors(obj, 'driverName'),
    ...parameterErrors(obj),
    ...(isEmpty ? [required('parameters', 'must contain at least one key/value pair')] : []),
  ]
}

/** What may not change about a VolumeAttributesClass. */
export function attributesUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const changed = ['driverName', 'parameters'].flatMap(field =>
    equalJson(obj[field] ?? null, old[field] ?? null)
      ? []
      : [forbiddenField(field, `updates to ${field} are forbidden.`)],
  )
  return [...changed, ...attributesErrors(obj)]
}
