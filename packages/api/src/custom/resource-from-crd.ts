// A CustomResourceDefinition as Resources, one for each served version. Pure; called by controllers/crd.ts.
// Schemas, CEL programs and columns compile when first asked for, so a CRD that nobody uses costs little.
// Ref: apiextensions-apiserver/pkg/apiserver/customresource_handler.go getOrCreateServingInfoFor

import {
  apiVersionOf,
  type CustomResourceSchema,
  customResourceSchema,
  isObject,
  type JsonObject,
  type KubeObject,
  parseApiVersion,
  type SchemaNode,
  simplePath,
} from '@podless/apimachinery'
import type { Resource, ResourceVerb, StoredSubresource, Subresource } from '../resource.ts'
import {
  type ConversionCaller,
  type ConversionWebhook,
  convertObjects,
} from './conversion-webhook.ts'
import { customColumns, type PrinterColumn } from './custom-columns.ts'
import { replicasPathsOf, type ScalePaths, scaleDoor, scaleErrors } from './custom-scale.ts'
import { finalizerWarnings } from './finalizer-warnings.ts'

/** The parts of a CRD version that serving needs, as the API spells them. */
export interface CrdVersion extends JsonObject {
  name: string
  served: boolean
  storage: boolean
  deprecated?: boolean
  deprecationWarning?: string
  schema?: { openAPIV3Schema?: JsonObject }
  subresources?: { status?: JsonObject; scale?: ScalePaths }
  additionalPrinterColumns?: PrinterColumn[]
  selectableFields?: { jsonPath: string }[]
}

export interface CrdSpec extends JsonObject {
  group: string
  scope: 'Namespaced' | 'Cluster'
  names: {
    plural: string
    singular?: string
    shortNames?: string[]
    kind: string
    listKind?: string
    categories?: string[]
  }
  versions: CrdVersion[]
  preserveUnknownFields?: boolean
  conversion?: { strategy: string; webhook?: ConversionWebhook }
}

/** Upstream's order in discovery. */
const VERBS: readonly ResourceVerb[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
]

/** What Resources of a CRD keep instead of its schemas, which are most of it. */
export interface CrdSource {
  /** The CRD again, with its schemas; parsed for the caller. */
  readonly load: () => KubeObject
  readonly schemas: CompiledSchemas
  /** Reaches the webhooks that convert. */
  readonly caller: ConversionCaller
}

/** Compiled schemas that are kept, 1 to 2 MiB each for the largest CRDs: those of all CRDs of a mesh. */
const SCHEMAS_MAX = 64

/** The compiled schemas in use, of all CRDs. The others are made anew when somebody asks for them. */
export class CompiledSchemas {
  readonly #kept = new Map<string, CustomResourceSchema>()

  get(key: string, make: () => CustomResourceSchema): CustomResourceSchema {
    const schema = this.#kept.get(key) ?? make()
    this.#kept.delete(key)
    this.#kept.set(key, schema)
    if (this.#kept.size > SCHEMAS_MAX) this.#kept.delete(this.#kept.keys().next().value ?? '')
    return schema
  }
}

/** The resources of a CRD whose names are accepted. Of the CRD itself they keep nothing but what is small. */
export function resourcesFromCrd(crd: KubeObject, source: CrdSource): Resource[] {
  const spec = crd.spec as CrdSpec
  const shape = schemaShapes(spec)
  const small = withoutSchemas(crd)
  const schemaOf = schemasOf(small, source)
  return (small.spec as CrdSpec).versions
    .filter(({ served }) => served)
    .map(version => resourceOf(small, version, shape, schemaOf, source))
}

const editionOf = ({ metadata }: KubeObject): string => `${metadata.uid}/${metadata.generation}`

function withoutSchemas(crd: KubeObject): KubeObject {
  const spec = crd.spec as CrdSpec
  const { name, uid, generation, deletionTimestamp } = crd.metadata
  const versions = spec.versions.map(({ schema: _schema, ...version }) => version)
  const metadata = { name, uid, generation, deletionTimestamp } as KubeObject['metadata']
  return { ...crd, metadata, spec: { ...spec, versions } }
}

function resourceOf(
  crd: KubeObject,
  version: CrdVersion,
  shape: SchemaShape,
  schemaOf: SchemaOf,
  source: CrdSource,
): Resource {
  const spec = crd.spec as CrdSpec
  const { group } = spec
  const names = acceptedNames(crd)
  const storageVersion = spec.versions.find(({ storage }) => storage)?.name ?? version.name
  const schema = (): CustomResourceSchema => schemaOf(version.name)!
  const hasStatus = version.subresources?.status !== undefined
  const scale = version.subresources?.scale
  const resource: Resource = {
    gvr: { group, version: version.name, resource: names.plural },
    names: {
      plural: names.plural,
      singular: names.singular ?? '',
      kind: names.kind,
      listKind: names.listKind ?? `${names.kind}List`,
      ...(names.shortNames === undefined ? {} : { shortNames: names.shortNames }),
      ...(names.categories === undefined ? {} : { categories: names.categories }),
    },
    namespaced: spec.scope === 'Namespaced',
    verbs: VERBS,
    ...(isTerminating(crd) ? { isTerminating: true } : {}),
    edition: editionOf(crd),
    storageVersion,
    keyPrefix: `/registry/${group}/${names.plural}`,
    get schema(): SchemaNode {
      return schema().node
    },
    get custom(): CustomResourceSchema {
      return schema()
    },
    schemaOfVersion: name => schemaOf(name)?.node,
    strategy: {
      hasGeneration: true,
      allowUnconditionalUpdate: false,
      validate: obj => scaleErrors(scale, obj, 'object'),
      validateUpdate: obj => scaleErrors(scale, obj, 'object'),
      warnings: finalizerWarnings,
    },
    ...(hasStatus
      ? { merge: keepStatus, dropStatusOnCreate: (obj: KubeObject) => void delete obj.status }
      : {}),
    subresources: subresourcesOf(spec, version, hasStatus),
    columns: customColumns(version.additionalPrinterColumns),
    selectableFields: selectableFieldsOf(version),
    crd: crd.metadata.name ?? '',
    ...storedForms(crd, version, shape, schemaOf),
    ...conversionOf(spec, version.name, schemaOf, source.caller),
    ...deprecation(spec, version),
  }
  if (!shape.present.has(version.name)) return resource
  return Object.defineProperty(resource, 'openApiSchema', {
    enumerable: true,
    get: () => rawSchemaOf(source.load(), version.name) ?? {},
  })
}

/** What the CRD got of the names it asks for. Ref: customresource_handler.go Status.AcceptedNames */
function acceptedNames({ spec, status }: KubeObject): CrdSpec['names'] {
  const asked = (spec as CrdSpec).names
  const got = isObject(status) ? status.acceptedNames : undefined
  const isNamed = isObject(got) && got.plural === asked.plural
  return isNamed ? (got as CrdSpec['names']) : asked
}

const rawSchemaOf = (crd: KubeObject, version: string): JsonObject | undefined =>
  (crd.spec as CrdSpec).versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema

/** What has to be known of schemas before anybody needs one. */
interface SchemaShape {
  /** Versions that have a schema. */
  readonly present: ReadonlySet<string>
  /** Versions whose schema fills in defaults. */
  readonly defaulting: ReadonlySet<string>
  /** True when the versions do not all share one. */
  readonly differ: boolean
}

function schemaShapes({ versions }: CrdSpec): SchemaShape {
  const texts = versions.map(({ schema }) => JSON.stringify(schema ?? null))
  const named = (holds: (version: CrdVersion, text: string) => boolean): Set<string> =>
    new Set(versions.filter((version, i) => holds(version, texts[i] ?? '')).map(({ name }) => name))
  return {
    present: named(({ schema }) => schema?.openAPIV3Schema !== undefined),
    defaulting: named((_version, text) => text.includes('"default"')),
    differ: new Set(texts).size > 1,
  }
}

/**
 * How stored bytes become this version and back. What is stored is pruned and defaulted by the schema of the version it
 * was stored in, and only pruned by the others, as upstream's codec does. Bytes can be served as they are while nothing
 * about them can differ from this schema: it never changed, all versions share it, and it has no defaults to fill in.
 */
function storedForms(
  crd: KubeObject,
  version: CrdVersion,
  shape: SchemaShape,
  schemaOf: SchemaOf,
): Pick<Resource, 'onRead' | 'onStore'> {
  const spec = crd.spec as CrdSpec
  const changed = (crd.metadata.generation ?? 1) > 1
  if (!changed && !shape.differ && !shape.defaulting.has(version.name)) return {}
  const own = version.name
  const storage = spec.versions.find(other => other.storage)?.name ?? own
  const onRead = (obj: KubeObject, storedAs: string): void => {
    const name = parseApiVersion(storedAs)?.version ?? own
    const stored = schemaOf(name) ?? schemaOf(own)
    stored?.prune(obj)
    stored?.default(obj)
    if (name !== own) schemaOf(own)?.prune(obj)
  }
  if (storage === own) return { onRead }
  return { onRead, onStore: obj => void schemaOf(storage)?.prune(obj) }
}

/** Both ends are pruned by their schemas, and defaults are those of the version an object is stored in. */
function conversionOf(
  spec: CrdSpec,
  own: string,
  schemaOf: SchemaOf,
  caller: ConversionCaller,
): Pick<Resource, 'conversion'> {
  const webhook = spec.conversion?.webhook
  if (spec.conversion?.strategy !== 'Webhook' || webhook === undefined) return {}
  const { group } = spec
  const storage = spec.versions.find(other => other.storage)?.name ?? own
  const to = async (version: string, objects: readonly KubeObject[]): Promise<KubeObject[]> => {
    const apiVersion = apiVersionOf({ group, version })
    const made = await convertObjects(caller, webhook, objects, apiVersion)
    for (const obj of made) schemaOf(version)?.prune(obj)
    return made
  }
  return {
    conversion: {
      fromStored: async objects => {
        for (const obj of objects) {
          const stored = schemaOf(parseApiVersion(obj.apiVersion)?.version ?? own)
          stored?.prune(obj)
          stored?.default(obj)
        }
        return await to(own, objects)
      },
      toStored: async obj => (await to(storage, [obj]))[0] ?? obj,
    },
  }
}

/** The schema of a version of the same CRD, served or not. */
type SchemaOf = (version: string) => CustomResourceSchema | undefined

function schemasOf(crd: KubeObject, { load, schemas }: CrdSource): SchemaOf {
  const spec = crd.spec as CrdSpec
  const edition = editionOf(crd)
  const preserveUnknownFields = spec.preserveUnknownFields === true
  return name => {
    if (!spec.versions.some(other => other.name === name)) return undefined
    return schemas.get(`${edition}/${name}`, () =>
      customResourceSchema(rawSchemaOf(load(), name), { preserveUnknownFields }),
    )
  }
}

/** Ref: customresource_handler.go terminating */
function isTerminating({ metadata, status }: KubeObject): boolean {
  if (metadata.deletionTimestamp !== undefined) return true
  const conditions = isObject(status) && Array.isArray(status.conditions) ? status.conditions : []
  return conditions.some(
    condition =>
      isObject(condition) && condition.type === 'Terminating' && condition.status === 'True',
  )
}

function deprecation(spec: CrdSpec, version: CrdVersion): Pick<Resource, 'deprecationWarning'> {
  if (version.deprecated !== true) return {}
  const apiVersion = apiVersionOf({ group: spec.group, version: version.name })
  return {
    deprecationWarning:
      version.deprecationWarning ?? `${apiVersion} ${spec.names.kind} is deprecated`,
  }
}

/** The main door leaves status alone. Ref: apiextensions-apiserver/pkg/registry/customresource/strategy.go */
function keepStatus(sent: KubeObject, live: KubeObject): KubeObject {
  const { status: _sent, ...rest } = sent
  return live.status === undefined
    ? (rest as KubeObject)
    : ({ ...rest, status: live.status } as KubeObject)
}

/** /status takes nothing but status, and the managed fields that record it. Ref: status_strategy.go */
const STATUS_DOOR: StoredSubresource = {
  type: 'stored',
  verbs: ['get', 'patch', 'update'],
  merge: (sent, live) => {
    const { status: _old, ...rest } = live
    const metadata = { ...live.metadata }
    if (sent.metadata.managedFields !== undefined)
      metadata.managedFields = sent.metadata.managedFields
    else delete metadata.managedFields
    return {
      ...rest,
      metadata,
      ...(sent.status === undefined ? {} : { status: sent.status }),
    } as KubeObject
  },
}

function subresourcesOf(
  { group, versions }: CrdSpec,
  version: CrdVersion,
  hasStatus: boolean,
): ReadonlyMap<string, Subresource> {
  const doors = new Map<string, Subresource>()
  const paths = version.subresources?.scale
  if (hasStatus) {
    const validateUpdate = (obj: KubeObject) => scaleErrors(paths, obj, 'status')
    doors.set('status', { ...STATUS_DOOR, validateUpdate })
  }
  if (paths !== undefined) doors.set('scale', scaleDoor(paths, replicasPathsOf(group, versions)))
  return doors
}

function selectableFieldsOf(version: CrdVersion): ReadonlyMap<string, (obj: KubeObject) => string> {
  const fields = new Map<string, (obj: KubeObject) => string>()
  for (const { jsonPath } of version.selectableFields ?? []) {
    const path = simplePath(jsonPath)
    fields.set(jsonPath.replace(/^\./, ''), obj => {
      const value = path(obj)
      return value === undefined || value === null ? '' : String(value)
    })
  }
  return fields
}
