// A CustomResourceDefinition as its rules see it. Upstream checks an older form in which fields that are equal in all
// versions stand once, at the top; error paths name that form (`spec.validation.openAPIV3Schema`), so ours do too.
// Called by crd-validation.ts. Ref: apiextensions-apiserver/pkg/apis/apiextensions/v1/conversion.go

import { equalJson, isObject, type JsonObject, type JsonValue } from '../json.ts'
import { flagOf, subSchema, subSchemas, textOf } from './raw-schema.ts'

/** Fields that stand either at the top or in versions; `schema` holds openAPIV3Schema. */
export interface VersionedFields {
  readonly schema?: JsonObject | undefined
  readonly subresources?: JsonObject | undefined
  readonly columns: readonly JsonObject[]
  readonly selectableFields: readonly JsonObject[]
}

export interface CrdVersion extends VersionedFields {
  readonly name: string
  readonly served: boolean
  readonly storage: boolean
  readonly deprecated: boolean
  readonly deprecationWarning?: string
  /** This version's own schema and subresources, wherever they stand. */
  readonly effective: Pick<VersionedFields, 'schema' | 'subresources'>
}

export interface CrdSpec extends VersionedFields {
  readonly raw: JsonObject
  readonly group: string
  readonly scope: string
  readonly names: JsonObject
  readonly versions: readonly CrdVersion[]
  readonly conversion?: JsonObject | undefined
  readonly preserveUnknownFields: boolean
}

/** Reads spec of a CRD, lifting what all versions share. */
export function readCrdSpec(crd: JsonObject): CrdSpec {
  const raw = isObject(crd.spec) ? crd.spec : {}
  const versions = subSchemas(raw, 'versions')
  const shared = (key: string): JsonValue | undefined => {
    const first = versions[0]?.[key]
    return versions.every(version => equalJson(zeroless(version[key]), zeroless(first)))
      ? zeroless(first)
      : undefined
  }
  const top: JsonObject = {}
  for (const key of LIFTED) top[key] = shared(key)
  const lifted = new Set(LIFTED.filter(key => top[key] !== undefined))
  return {
    raw,
    group: textOf(raw, 'group'),
    scope: textOf(raw, 'scope'),
    names: subSchema(raw, 'names') ?? {},
    conversion: subSchema(raw, 'conversion'),
    preserveUnknownFields: flagOf(raw, 'preserveUnknownFields'),
    ...fieldsOf(top),
    versions: versions.map(version => readVersion(version, lifted)),
  }
}

const LIFTED = ['schema', 'subresources', 'additionalPrinterColumns', 'selectableFields'] as const

/** An empty list counts as none. */
function zeroless(value: JsonValue | undefined): JsonValue | undefined {
  if (value === null || (Array.isArray(value) && value.length === 0)) return undefined
  return value
}

function readVersion(version: JsonObject, lifted: ReadonlySet<string>): CrdVersion {
  const own: JsonObject = {}
  for (const key of LIFTED) if (!lifted.has(key)) own[key] = version[key]
  const warning = version.deprecationWarning
  return {
    name: textOf(version, 'name'),
    served: flagOf(version, 'served'),
    storage: flagOf(version, 'storage'),
    deprecated: flagOf(version, 'deprecated'),
    ...(typeof warning === 'string' ? { deprecationWarning: warning } : {}),
    ...fieldsOf(own),
    effective: {
      schema: subSchema(version, 'schema'),
      subresources: subSchema(version, 'subresources'),
    },
  }
}

function fieldsOf(holder: JsonObject): VersionedFields {
  return {
    schema: subSchema(holder, 'schema'),
    subresources: subSchema(holder, 'subresources'),
    columns: subSchemas(holder, 'additionalPrinterColumns'),
    selectableFields: subSchemas(holder, 'selectableFields'),
  }
}
