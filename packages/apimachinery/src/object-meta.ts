// The rules of metadata that hold for every kind, on create and on update.
// Called by the write path and by strategies; calls names.ts. Ref: apimachinery/pkg/api/validation/objectmeta.go

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
} from './field-error.ts'
import { parseApiVersion } from './gvk.ts'
import type { JsonNumber } from './int64.ts'
import { equalJson, type JsonValue } from './json.ts'
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from './meta.ts'
import {
  byteLength,
  isDns1123Label,
  isLabelValue,
  isQualifiedName,
  type NameRule,
  nameIsDnsSubdomain,
} from './names.ts'

/** Keys and values of all annotations together. */
export const ANNOTATION_BYTES_MAX = 256 * 1024
const FIELD_MANAGER_BYTES_MAX = 128
const SUBRESOURCE_BYTES_MAX = 256
const IMMUTABLE = 'field is immutable'

export interface ObjectMetaRules {
  readonly namespaced: boolean
  /** DNS-1123 subdomain unless given. */
  readonly validateName?: NameRule | undefined
  /** Where the metadata stands; `metadata` unless it is a template's. */
  readonly path?: string
  /** Built-in kinds demand that finalizers are standard ones or have a domain. Custom resources do not. */
  readonly qualifiedFinalizers?: boolean
}

/** Everything wrong with the metadata of a new object; the order is upstream's. */
export function validateObjectMeta(meta: ObjectMeta, rules: ObjectMetaRules): FieldError[] {
  const path = rules.path ?? 'metadata'
  const { name = '', generateName = '' } = meta
  const validateName = rules.validateName ?? nameIsDnsSubdomain
  const errors: FieldError[] = []
  if (generateName !== '') {
    for (const sentence of validateName(generateName, true)) {
      errors.push(invalidValue(`${path}.generateName`, generateName, sentence))
    }
  }
  if (name === '') errors.push(required(`${path}.name`, 'name or generateName is required'))
  else {
    for (const sentence of validateName(name, false)) {
      errors.push(invalidValue(`${path}.name`, name, sentence))
    }
  }
  errors.push(
    ...validateNamespaceOf(meta, rules.namespaced, `${path}.namespace`),
    ...nonNegative(meta.generation ?? 0, `${path}.generation`),
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwnerReferences(meta.ownerReferences ?? [], `${path}.ownerReferences`),
    ...validateFinalizers(meta.finalizers ?? [], `${path}.finalizers`),
    ...validateManagedFields(meta.managedFields ?? [], `${path}.managedFields`),
  )
  if (rules.qualifiedFinalizers) {
    errors.push(...validateQualifiedFinalizers(meta.finalizers ?? [], `${path}.finalizers`))
  }
  return errors
}

/** Everything wrong with the metadata of an update, `old` being what is stored. */
export function validateObjectMetaUpdate(
  meta: ObjectMeta,
  old: ObjectMeta,
  rules: { readonly path?: string; readonly qualifiedFinalizers?: boolean } = {},
): FieldError[] {
  const path = rules.path ?? 'metadata'
  const errors: FieldError[] = []
  if (old.deletionTimestamp !== undefined) {
    errors.push(...validateNoNewFinalizers(meta, old, `${path}.finalizers`))
  }
  if ((meta.resourceVersion ?? '') === '') {
    errors.push(invalidValue(`${path}.resourceVersion`, '', 'must be specified for an update'))
  }
  const generation = meta.generation ?? 0
  errors.push(...nonNegative(generation, `${path}.generation`))
  if (generation < (old.generation ?? 0)) {
    errors.push(invalidValue(`${path}.generation`, generation, 'must not be decremented'))
  }
  for (const field of ['name', 'namespace', 'uid'] as const) {
    errors.push(...immutableField(meta[field] ?? '', old[field] ?? '', `${path}.${field}`))
  }
  const times = ['creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const
  for (const field of times) {
    errors.push(...immutableField(meta[field] ?? null, old[field] ?? null, `${path}.${field}`))
  }
  errors.push(
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwnerReferences(meta.ownerReferences ?? [], `${path}.ownerReferences`),
    ...validateManagedFields(meta.managedFields ?? [], `${path}.managedFields`),
  )
  if (rules.qualifiedFinalizers) {
    errors.push(...validateQualifiedFinalizers(meta.finalizers ?? [], `${path}.finalizers`))
  }
  return errors
}

function validateNamespaceOf(meta: ObjectMeta, namespaced: boolean, path: string): FieldError[] {
  const namespace = meta.namespace ?? ''
  if (!namespaced) return namespace === '' ? [] : [forbiddenField(path, 'not allowed on this type')]
  if (namespace === '') return [required(path)]
  return isDns1123Label(namespace).map(sentence => invalidValue(path, namespace, sentence))
}

/** One error when two values differ: `Invalid value: ...: field is immutable`. */
export function immutableField(
  value: JsonValue | undefined,
  old: JsonValue | undefined,
  path: string,
): FieldError[] {
  return equalJson(value, old) ? [] : [invalidValue(path, value, IMMUTABLE)]
}

/** `must be greater than or equal to 0` */
export function nonNegative(value: JsonNumber, path: string): FieldError[] {
  return value >= 0 ? [] : [invalidValue(path, value, 'must be greater than or equal to 0')]
}

/** Keys and values of a label map. */
export function validateLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const sentence of isQualifiedName(key)) errors.push(invalidValue(path, key, sentence))
    for (const sentence of isLabelValue(value)) errors.push(invalidValue(path, value, sentence))
  }
  return errors
}

/** Keys of an annotation map, whose case does not matter, and the size of the whole. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    size += byteLength(key) + byteLength(value)
    for (const sentence of isQualifiedName(key.toLowerCase())) {
      errors.push(invalidValue(path, key, sentence))
    }
  }
  if (size > ANNOTATION_BYTES_MAX) errors.push(tooLong(path, ANNOTATION_BYTES_MAX))
  return errors
}

function validateOwnerReferences(owners: readonly OwnerReference[], path: string): FieldError[] {
  const errors: FieldError[] = []
  let controller: string | undefined
  owners.forEach(owner => {
    // The path names no index.
    errors.push(...validateOwnerReference(owner, path))
    if (owner.controller !== true) return
    const current = `${owner.kind}/${owner.name}`
    if (controller === undefined) controller = current
    else {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${current}`
      errors.push(invalidValue(path, [...owners], detail))
    }
  })
  return errors
}

function validateOwnerReference(owner: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = []
  const apiVersion = owner.apiVersion ?? ''
  if ((parseApiVersion(apiVersion)?.version ?? '') === '') {
    errors.push(invalidValue(`${path}.apiVersion`, apiVersion, 'version must not be empty'))
  }
  for (const field of ['kind', 'name', 'uid'] as const) {
    if ((owner[field] ?? '') !== '') continue
    errors.push(invalidValue(`${path}.${field}`, '', 'must not be empty'))
  }
  if (apiVersion === 'v1' && owner.kind === 'Event') {
    errors.push(invalidValue(path, owner, '/v1, Kind=Event is disallowed from being an owner'))
  }
  return errors
}

/** Each finalizer is a qualified name, and the two propagation policies exclude each other. */
export function validateFinalizers(finalizers: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const finalizer of finalizers) {
    for (const sentence of isQualifiedName(finalizer)) {
      errors.push(invalidValue(path, finalizer, sentence))
    }
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    const detail = 'finalizer orphan and foregroundDeletion cannot be both set'
    errors.push(invalidValue(path, [...finalizers], detail))
  }
  return errors
}

const STANDARD_FINALIZERS: ReadonlySet<string> = new Set([
  'kubernetes',
  'orphan',
  'foregroundDeletion',
])

/** Ref: kubernetes/pkg/apis/core/validation/validation.go validateKubeFinalizerName */
export function validateQualifiedFinalizers(
  finalizers: readonly string[],
  path: string,
): FieldError[] {
  return finalizers.flatMap((finalizer, index) =>
    finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer)
      ? []
      : [
          invalidValue(
            `${path}[${index}]`,
            finalizer,
            'name is neither a standard finalizer name nor is it fully qualified',
          ),
        ],
  )
}

function validateNoNewFinalizers(meta: ObjectMeta, old: ObjectMeta, path: string): FieldError[] {
  const before = new Set(old.finalizers)
  const added = [...new Set(meta.finalizers)].filter(name => !before.has(name)).sort()
  if (added.length === 0) return []
  const list = added.map(name => JSON.stringify(name)).join(', ')
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`
  return [forbiddenField(path, detail)]
}

function validateManagedFields(entries: readonly ManagedFieldsEntry[], path: string): FieldError[] {
  return entries.flatMap((entry, index) => {
    const at = `${path}[${index}]`
    const errors: FieldError[] = []
    const operation = entry.operation ?? ''
    if (operation === '') errors.push(required(`${at}.operation`, 'must not be empty'))
    else if (operation !== 'Apply' && operation !== 'Update') {
      errors.push(notSupported(`${at}.operation`, operation, ['Apply', 'Update']))
    }
    const fieldsType = entry.fieldsType ?? ''
    if (fieldsType !== '' && fieldsType !== 'FieldsV1') {
      errors.push(invalidValue(`${at}.fieldsType`, fieldsType, 'must be `FieldsV1`'))
    }
    errors.push(...validateFieldManager(entry.manager ?? '', `${at}.manager`))
    if (byteLength(entry.subresource ?? '') > SUBRESOURCE_BYTES_MAX) {
      errors.push(tooLong(`${at}.subresource`, SUBRESOURCE_BYTES_MAX))
    }
    return errors
  })
}

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

/** A manager's name: short and printable. Ref: apimachinery/pkg/apis/meta/v1/validation ValidateFieldManager */
export function validateFieldManager(manager: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (byteLength(manager) > FIELD_MANAGER_BYTES_MAX) {
    errors.push(tooLong(path, FIELD_MANAGER_BYTES_MAX))
  }
  let position = 0
  for (const character of manager) {
    if (!PRINTABLE.test(character)) {
      const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
      const detail = `invalid character U+${code} (at position ${position})`
      errors.push(invalidValue(path, manager, detail))
    }
    position += byteLength(character)
  }
  return errors
}
