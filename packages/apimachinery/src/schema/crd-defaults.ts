// Fills in what a CustomResourceDefinition leaves out, and the status a write starts from. Called by the strategy of
// customresourcedefinitions. Ref: apiextensions-apiserver/pkg/apis/apiextensions/v1/defaults.go and
// pkg/registry/customresourcedefinition/strategy.go

import { cloneJson, equalJson, isObject, type JsonObject } from '../json.ts'
import { flagOf, subSchema, subSchemas, textOf, textsOf } from './raw-schema.ts'

/** Sets singular, listKind, the conversion strategy, the webhook port and the first stored version, in place. */
export function defaultCrd(crd: JsonObject): void {
  const spec = subSchema(crd, 'spec')
  if (spec === undefined) return
  const names = subSchema(spec, 'names')
  const kind = names === undefined ? '' : textOf(names, 'kind')
  if (names !== undefined && kind !== '') {
    if (textOf(names, 'singular') === '') names.singular = kind.toLowerCase()
    if (textOf(names, 'listKind') === '') names.listKind = `${kind}List`
  }
  if (spec.conversion === undefined || spec.conversion === null) {
    spec.conversion = { strategy: 'None' }
  }
  const webhook = subSchema(subSchema(spec, 'conversion') ?? {}, 'webhook')
  const service = subSchema(subSchema(webhook ?? {}, 'clientConfig') ?? {}, 'service')
  if (service !== undefined && (service.port === undefined || service.port === null)) {
    service.port = 443
  }
  if (textsOf(subSchema(crd, 'status') ?? {}, 'storedVersions').length === 0) {
    rememberStorageVersion(crd)
  }
}

/** A new CRD has no status but the version it is stored in. */
export function prepareCrdForCreate(crd: JsonObject): void {
  crd.status = {}
  rememberStorageVersion(crd)
}

/** An update keeps the status, to which it may add a stored version; true when the spec changed. */
export function prepareCrdForUpdate(crd: JsonObject, old: JsonObject): boolean {
  crd.status = cloneJson(isObject(old.status) ? old.status : {})
  rememberStorageVersion(crd)
  return !equalJson(crd.spec, old.spec)
}

function rememberStorageVersion(crd: JsonObject): void {
  const spec = subSchema(crd, 'spec') ?? {}
  const storage = subSchemas(spec, 'versions').find(version => flagOf(version, 'storage'))
  if (storage === undefined) return
  const status = subSchema(crd, 'status') ?? {}
  const stored = textsOf(status, 'storedVersions')
  const name = textOf(storage, 'name')
  if (stored.includes(name)) return
  status.storedVersions = [...stored, name]
  crd.status = status
}
