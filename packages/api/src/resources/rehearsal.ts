// For tests: runs the rules of one built-in as a write would run them, without a server. Called by *.test.ts beside it.

import assert from 'node:assert/strict'
import {
  cloneJson,
  formatFieldError,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import type { Resource, RuleContext, ServiceAddresses, StoredSubresource } from '../resource.ts'
import { builtinResources } from './index.ts'

const NOW = new Date('2024-05-01T12:00:00Z')

/** The built-in served at this place. */
export function find(resource: string, group = '', version = 'v1'): Resource {
  const found = builtinResources().find(
    ({ gvr }) => gvr.resource === resource && gvr.group === group && gvr.version === version,
  )
  return found ?? assert.fail(`no ${group}/${version} ${resource}`)
}

interface Circumstances {
  readonly dryRun?: boolean
  readonly addresses?: ServiceAddresses
  readonly allowed?: (verb: string, name: string) => boolean
}

/** A context in which nothing exists and everything is allowed. */
export function circumstances(given: Circumstances = {}): RuleContext {
  const unused = (): never => assert.fail('not expected of these rules')
  const allowed = given.allowed ?? (() => true)
  return {
    user: { name: 'ann', groups: ['system:authenticated'] },
    verb: 'update',
    namespace: 'ns',
    dryRun: given.dryRun ?? false,
    now: () => NOW,
    warn: () => undefined,
    services: {
      lookup: () => undefined,
      list: () => [],
      tokens: { audiences: [], issue: unused, review: unused },
      authorizer: {
        authorize: ({ verb, name = '' }) => ({ allowed: allowed(verb, name), reason: '' }),
        rulesFor: unused,
      },
      serviceAddresses: given.addresses ?? {
        allocate: unused,
        release: unused,
        nodePorts: { allocate: unused, release: unused },
      },
    },
  }
}

/** An object of the resource, named `a` in namespace `ns`. */
export function make(resource: Resource, fields: JsonObject = {}): KubeObject {
  const { group, version } = resource.gvr
  const { metadata, ...rest } = fields
  return cloneJson({
    apiVersion: group === '' ? version : `${group}/${version}`,
    kind: resource.names.kind,
    metadata: {
      name: 'a',
      ...(resource.namespaced ? { namespace: 'ns' } : {}),
      ...(metadata as JsonObject | undefined),
    },
    ...rest,
  }) as KubeObject
}

/** Defaults, prepares and validates a new object; returns it and what is wrong with it. */
export async function create(
  resource: Resource,
  fields: JsonObject = {},
  ctx = circumstances(),
): Promise<{ obj: KubeObject; errors: string[] }> {
  const obj = make(resource, fields)
  resource.strategy.default?.(obj)
  resource.dropStatusOnCreate?.(obj)
  await resource.strategy.prepareForCreate?.(obj, ctx)
  const errors = resource.strategy.validate?.(obj, ctx) ?? []
  return { obj, errors: errors.map(formatFieldError) }
}

/** Sends `fields` to an object through the main door or a subresource; returns what would be stored. */
export async function update(
  resource: Resource,
  live: KubeObject,
  fields: JsonObject,
  given: { readonly door?: string; readonly ctx?: RuleContext } = {},
): Promise<{ obj: KubeObject; errors: string[] }> {
  const ctx = given.ctx ?? circumstances()
  const sent = make(resource, fields)
  resource.strategy.default?.(sent)
  const door =
    given.door === undefined
      ? undefined
      : (resource.subresources.get(given.door) as StoredSubresource | undefined)
  const merge = door === undefined ? resource.merge : door.merge
  const obj = cloneJson(merge?.(sent, cloneJson(live)) ?? sent)
  await resource.strategy.prepareForUpdate?.(obj, live, ctx)
  const rules = door === undefined ? resource.strategy : door
  const errors = rules.validateUpdate?.(obj, live, ctx) ?? []
  return { obj, errors: errors.map(formatFieldError) }
}

/** The cells of an object's row. */
export function row(resource: Resource, obj: KubeObject): readonly unknown[] {
  return resource.columns.map(column => column.cell(obj, NOW))
}
