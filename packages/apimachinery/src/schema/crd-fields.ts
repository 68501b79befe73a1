// Subresources, printer columns and selectable fields of a CRD. Called by crd-validation.ts.
// Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go

import { duplicate, type FieldError, invalidValue, required, tooMany } from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { resolveFieldPath } from './field-path.ts'
import { subSchema, textOf } from './raw-schema.ts'
import { compileSchema } from './structural.ts'
import { unsupportedReason } from './structural-validation.ts'

const SELECTABLE_FIELDS_MAX = 8
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string']
const COLUMN_FORMATS = [
  'byte',
  'date',
  'date-time',
  'double',
  'float',
  'int32',
  'int64',
  'password',
]
const SELECTABLE_TYPES: readonly (string | undefined)[] = ['string', 'boolean', 'integer']

/** Everything wrong with the paths of a scale subresource. */
export function validateSubresources(subresources: JsonObject, path: string): FieldError[] {
  const scale = subSchema(subresources, 'scale')
  if (scale === undefined) return []
  return [
    ...checkScalePath(scale, 'specReplicasPath', ['.spec.'], path),
    ...checkScalePath(scale, 'statusReplicasPath', ['.status.'], path),
    ...(textOf(scale, 'labelSelectorPath') === ''
      ? []
      : checkScalePath(scale, 'labelSelectorPath', ['.spec.', '.status.'], path)),
  ]
}

function checkScalePath(
  scale: JsonObject,
  key: string,
  roots: readonly string[],
  path: string,
): FieldError[] {
  const at = `${path}.scale.${key}`
  const text = textOf(scale, key)
  if (text === '') return [required(at)]
  const errors = checkSimplePath(text, at)
  if (errors.length > 0 || roots.some(root => text.startsWith(root))) return errors
  const under = roots.length > 1 ? 'either .spec or .status' : roots[0]!.slice(0, -1)
  return [invalidValue(at, text, `should be a json path under ${under}`)]
}

function checkSimplePath(text: string, at: string): FieldError[] {
  if (text.startsWith('.')) return []
  return [invalidValue(at, text, 'must be a simple json path starting with .')]
}

/** Everything wrong with additionalPrinterColumns. */
export function validateColumns(columns: readonly JsonObject[], path: string): FieldError[] {
  return columns.flatMap((column, i) => validateColumn(column, `${path}[${i}]`))
}

function validateColumn(column: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (textOf(column, 'name') === '') errors.push(required(`${path}.name`))
  const type = textOf(column, 'type')
  const types = `must be one of ${COLUMN_TYPES.join(',')}`
  if (type === '') errors.push(required(`${path}.type`, types))
  else if (!COLUMN_TYPES.includes(type)) errors.push(invalidValue(`${path}.type`, type, types))
  const format = textOf(column, 'format')
  if (format !== '' && !COLUMN_FORMATS.includes(format)) {
    const detail = `must be one of ${COLUMN_FORMATS.join(',')}`
    errors.push(invalidValue(`${path}.format`, format, detail))
  }
  const jsonPath = textOf(column, 'jsonPath')
  const at = `${path}.JSONPath`
  return [...errors, ...(jsonPath === '' ? [required(at)] : checkSimplePath(jsonPath, at))]
}

/** Everything wrong with selectableFields, which must name scalars of the schema. */
export function validateSelectableFields(
  fields: readonly JsonObject[],
  schema: JsonObject | undefined,
  path: string,
  options: { readonly allowMany: boolean },
): FieldError[] {
  if (schema === undefined) {
    const detail = path.startsWith('spec.versions')
      ? 'may only be set when `version.schema.openAPIV3Schema` is not included'
      : 'may only be set when validations.schema is included'
    return [invalidValue(path, '', detail)]
  }
  const errors: FieldError[] = []
  if (unsupportedReason(schema) !== undefined) return errors
  const root = compileSchema(schema)
  const seen = new Set<string>()
  for (const [i, field] of fields.entries()) {
    const at = `${path}[${i}].jsonPath`
    const text = textOf(field, 'jsonPath')
    if (text === '') {
      errors.push(required(at))
      continue
    }
    const found = resolveFieldPath(text, root, { brackets: false })
    if (!found.ok) {
      errors.push(invalidValue(at, text, `is an invalid path: ${found.error}`))
      continue
    }
    if (found.path.split(/[.[]/)[0] === 'metadata') {
      errors.push(invalidValue(at, text, 'must not point to fields in metadata'))
    }
    if (!SELECTABLE_TYPES.includes(found.node.type)) {
      const detail =
        'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.'
      errors.push(invalidValue(at, text, detail))
    }
    if (seen.has(found.path)) errors.push(duplicate(at, text))
    seen.add(found.path)
  }
  if (seen.size > SELECTABLE_FIELDS_MAX && !options.allowMany) {
    errors.push(tooMany(path, seen.size, SELECTABLE_FIELDS_MAX))
  }
  return errors
}
