// Everything a CustomResourceDefinition must satisfy on create and update. Called by the strategy of
// customresourcedefinitions; calls crd-schema-validation.ts for schemas and crd-conversion.ts for conversion.
// Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go

import { type FieldError, invalidValue, notSupported, required } from '../field-error.ts'
import { equalJson, isObject, type JsonObject } from '../json.ts'
import type { ObjectMeta } from '../meta.ts'
import { isDns1035Label, isDns1123Subdomain, nameIsDnsSubdomain } from '../names.ts'
import { immutableField, validateObjectMeta, validateObjectMetaUpdate } from '../object-meta.ts'
import { validateApproval } from './crd-approval.ts'
import { validateConversion } from './crd-conversion.ts'
import { validateColumns, validateSelectableFields, validateSubresources } from './crd-fields.ts'
import { internalVersions } from './crd-internal-form.ts'
import { validateCrdSchema } from './crd-schema-validation.ts'
import { type CrdSpec, type CrdVersion, readCrdSpec, type VersionedFields } from './crd-view.ts'
import { subSchema, subSchemas, textOf, textsOf } from './raw-schema.ts'

/** Everything wrong with a new CRD, which crd-defaults.ts has filled in. */
export function validateCrd(crd: JsonObject): FieldError[] {
  const spec = readCrdSpec(crd)
  const meta = isObject(crd.metadata) ? (crd.metadata as ObjectMeta) : {}
  const fullName = `${textOf(spec.names, 'plural')}.${spec.group}`
  const validateName = (name: string, prefix: boolean): readonly string[] => [
    ...nameIsDnsSubdomain(name, prefix),
    ...(name === fullName ? [] : ['must be spec.names.plural+"."+spec.group']),
  ]
  return [
    ...validateObjectMeta(meta, { namespaced: false, validateName }),
    ...validateSpec(spec, { established: false }),
    ...validateCrdStatus(crd),
    ...validateStoredVersions(crd, spec),
    ...validateApproval(crd),
    ...validatePreserveUnknownFields(spec),
  ]
}

/** Everything wrong with an update of a CRD's main resource. */
export function validateCrdUpdate(crd: JsonObject, old: JsonObject): FieldError[] {
  const spec = readCrdSpec(crd)
  const oldSpec = readCrdSpec(old)
  const meta = isObject(crd.metadata) ? (crd.metadata as ObjectMeta) : {}
  const oldMeta = isObject(old.metadata) ? (old.metadata as ObjectMeta) : {}
  const established = isEstablished(old)
  return [
    ...validateObjectMetaUpdate(meta, oldMeta),
    ...validateSpec(spec, { old: oldSpec, established }),
    ...validateImmutable(spec, oldSpec, established),
    ...validateCrdStatus(crd),
    ...validateStoredVersions(crd, spec),
    ...validateApproval(crd, old),
    ...(oldSpec.preserveUnknownFields ? [] : validatePreserveUnknownFields(spec)),
  ]
}

/** Everything wrong with an update through /status; metadata is the caller's. */
export function validateCrdStatus(crd: JsonObject): FieldError[] {
  const accepted = subSchema(subSchema(crd, 'status') ?? {}, 'acceptedNames')
  return accepted === undefined ? [] : validateNames(accepted, 'status.acceptedNames')
}

interface SpecContext {
  readonly old?: CrdSpec
  readonly established: boolean
}

function validateSpec(spec: CrdSpec, context: SpecContext): FieldError[] {
  const errors = [...validateGroup(spec.group), ...validateScope(spec.scope)]
  if (spec.schema === undefined || subSchema(spec.schema, 'openAPIV3Schema') === undefined) {
    for (const [i, version] of spec.versions.entries()) {
      if (version.schema && subSchema(version.schema, 'openAPIV3Schema') !== undefined) continue
      errors.push(required(`spec.versions[${i}].schema.openAPIV3Schema`))
    }
  }
  for (const [i, version] of spec.versions.entries()) {
    errors.push(...validateVersion(version, `spec.versions[${i}]`, spec, context))
  }
  errors.push(...validateVersionSet(spec))
  for (const key of ['plural', 'singular', 'kind', 'listKind']) {
    if (textOf(spec.names, key) === '') errors.push(required(`spec.names.${key}`))
  }
  errors.push(...validateNames(spec.names, 'spec.names'))
  const statusEnabled = spec.versions.some(version => hasStatus(version.effective.subresources))
  const paths = { schema: 'spec.validation', fields: 'spec' }
  const unchanged = schemasUnchanged(spec, context.old)
  errors.push(...validateFields(spec, paths, { statusEnabled, unchanged, old: context.old }))
  const strategy = spec.conversion && textOf(spec.conversion, 'strategy')
  if (strategy !== undefined && strategy !== 'None' && spec.preserveUnknownFields) {
    const detail = 'must be None if spec.preserveUnknownFields is true'
    errors.push(invalidValue('spec.conversion.strategy', strategy, detail))
  }
  if (spec.conversion !== undefined) {
    errors.push(...validateConversion(spec.conversion, { established: context.established }))
  }
  return errors
}

function validateGroup(group: string): FieldError[] {
  if (group === '') return [required('spec.group')]
  const sentences = isDns1123Subdomain(group)
  if (sentences.length > 0) return [invalidValue('spec.group', group, sentences.join(','))]
  if (group.includes('.')) return []
  return [invalidValue('spec.group', group, 'should be a domain with at least one dot')]
}

const SCOPES = ['Cluster', 'Namespaced']

function validateScope(scope: string): FieldError[] {
  if (scope === '') return [required('spec.scope')]
  if (SCOPES.includes(scope)) return []
  return [notSupported('spec.scope', scope, SCOPES)]
}

function validateVersion(
  version: CrdVersion,
  path: string,
  spec: CrdSpec,
  context: SpecContext,
): FieldError[] {
  const sentences = isDns1035Label(version.name)
  const errors: FieldError[] = []
  if (sentences.length > 0) {
    errors.push(invalidValue(`${path}.name`, version.name, sentences.join(',')))
  }
  for (const sentence of deprecationErrors(version)) {
    const value = version.deprecationWarning
    errors.push(invalidValue(`${path}.deprecationWarning`, value, sentence))
  }
  const statusEnabled = hasStatus(spec.subresources ?? version.subresources)
  const before = context.old?.versions.find(other => other.name === version.name)
  const unchanged =
    before !== undefined &&
    equalJson({ ...before.effective } as JsonObject, { ...version.effective } as JsonObject)
  const paths = { schema: `${path}.schema`, fields: path }
  const old = before
  return [...errors, ...validateFields(version, paths, { statusEnabled, unchanged, old })]
}

function deprecationErrors(version: CrdVersion): string[] {
  const warning = version.deprecationWarning
  if (warning === undefined) return []
  if (!version.deprecated) return ['can only be set for deprecated versions']
  const errors: string[] = []
  if (Buffer.byteLength(warning) > 256) errors.push('must be <= 256 characters long')
  if (warning === '') errors.push('must not be an empty string')
  const stray = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(warning)
  if (stray !== null) {
    const index = Buffer.byteLength(warning.slice(0, stray.index))
    errors.push(
      `must only contain printable UTF-8 characters; non-printable character found at index ${index}`,
    )
  }
  return errors
}

/** The parts that stand in the spec or in a version, whichever holds them. */
function validateFields(
  fields: VersionedFields,
  paths: { readonly schema: string; readonly fields: string },
  context: {
    readonly statusEnabled: boolean
    readonly unchanged: boolean
    readonly old?: VersionedFields | undefined
  },
): FieldError[] {
  const schema = fields.schema && subSchema(fields.schema, 'openAPIV3Schema')
  const errors: FieldError[] = []
  // What was stored has passed, and compiling a large schema's rules again is slow.
  if (schema !== undefined && !context.unchanged) {
    const { statusEnabled } = context
    errors.push(...validateCrdSchema(schema, `${paths.schema}.openAPIV3Schema`, { statusEnabled }))
  }
  if (fields.subresources !== undefined) {
    errors.push(...validateSubresources(fields.subresources, `${paths.fields}.subresources`))
  }
  errors.push(...validateColumns(fields.columns, `${paths.fields}.additionalPrinterColumns`))
  if (fields.selectableFields.length > 0) {
    const at = `${paths.fields}.selectableFields`
    const before = context.old?.selectableFields ?? []
    const same = equalJson([...fields.selectableFields], [...before])
    errors.push(
      ...validateSelectableFields(fields.selectableFields, schema, at, { allowMany: same }),
    )
  }
  return errors
}

function schemasUnchanged(spec: CrdSpec, old: CrdSpec | undefined): boolean {
  if (old === undefined || spec.versions.length === 0) return false
  return spec.versions.every(version => {
    const before = old.versions.find(other => other.name === version.name)
    return (
      before !== undefined &&
      equalJson({ ...before.effective } as JsonObject, { ...version.effective } as JsonObject)
    )
  })
}

const hasStatus = (subresources: JsonObject | undefined): boolean =>
  subresources !== undefined && isObject(subresources.status)

function validateVersionSet(spec: CrdSpec): FieldError[] {
  const errors: FieldError[] = []
  const shown = internalVersions(spec.versions)
  const names = new Set(spec.versions.map(version => version.name))
  if (names.size < spec.versions.length) {
    errors.push(invalidValue('spec.versions', shown, 'must contain unique version names'))
  }
  if (spec.versions.filter(version => version.storage).length !== 1) {
    const detail = 'must have exactly one version marked as storage version'
    errors.push(invalidValue('spec.versions', shown, detail))
  }
  const first = spec.versions[0]?.name ?? ''
  const sentences = first === '' ? [] : isDns1035Label(first)
  if (sentences.length > 0) errors.push(invalidValue('spec.version', first, sentences.join(',')))
  return errors
}

const NAME_FIELDS: readonly { readonly key: string; readonly mixedCase: boolean }[] = [
  { key: 'plural', mixedCase: false },
  { key: 'singular', mixedCase: false },
  { key: 'kind', mixedCase: true },
  { key: 'listKind', mixedCase: true },
]

function validateNames(names: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const { key, mixedCase } of NAME_FIELDS) {
    const name = textOf(names, key)
    const sentences = name === '' ? [] : isDns1035Label(mixedCase ? name.toLowerCase() : name)
    if (sentences.length === 0) continue
    const prefix = mixedCase ? 'may have mixed case, but should otherwise match: ' : ''
    errors.push(invalidValue(`${path}.${key}`, name, `${prefix}${sentences.join(',')}`))
  }
  const kind = textOf(names, 'kind')
  if (kind !== '' && kind === textOf(names, 'listKind')) {
    const detail = 'kind and listKind may not be the same'
    errors.push(invalidValue(`${path}.listKind`, kind, detail))
  }
  for (const key of ['shortNames', 'categories']) {
    for (const [i, name] of textsOf(names, key).entries()) {
      const sentences = isDns1035Label(name)
      if (sentences.length === 0) continue
      errors.push(invalidValue(`${path}.${key}[${i}]`, name, sentences.join(',')))
    }
  }
  return errors
}

function validateImmutable(spec: CrdSpec, old: CrdSpec, established: boolean): FieldError[] {
  const name = (key: string): FieldError[] =>
    immutableField(textOf(spec.names, key), textOf(old.names, key), `spec.names.${key}`)
  return [
    ...(established
      ? [...immutableField(spec.scope, old.scope, 'spec.scope'), ...name('kind')]
      : []),
    ...immutableField(spec.group, old.group, 'spec.group'),
    ...name('plural'),
  ]
}

function validateStoredVersions(crd: JsonObject, spec: CrdSpec): FieldError[] {
  const path = 'status.storedVersions'
  const stored = textsOf(subSchema(crd, 'status') ?? {}, 'storedVersions')
  if (stored.length === 0) {
    return [invalidValue(path, null, 'must have at least one stored version')]
  }
  const errors: FieldError[] = []
  const unclaimed = new Set(stored)
  for (const { name, storage } of spec.versions) {
    if (storage && !unclaimed.has(name)) {
      errors.push(invalidValue(path, [...stored], `must have the storage version ${name}`))
    }
    unclaimed.delete(name)
  }
  for (const [i, name] of stored.entries()) {
    if (!unclaimed.has(name)) continue
    const why = `was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`
    errors.push(invalidValue(`${path}[${i}]`, name, `missing from spec.versions; ${name} ${why}`))
  }
  return errors
}

function validatePreserveUnknownFields(spec: CrdSpec): FieldError[] {
  if (!spec.preserveUnknownFields) return []
  const detail =
    'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead'
  return [invalidValue('spec.preserveUnknownFields', true, detail)]
}

function isEstablished(crd: JsonObject): boolean {
  return subSchemas(subSchema(crd, 'status') ?? {}, 'conditions').some(
    condition => condition.type === 'Established' && condition.status === 'True',
  )
}
