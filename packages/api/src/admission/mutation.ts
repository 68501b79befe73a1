// A patch that a policy made, carried out on one object. Called by mutating-policy.ts.
// Ref: apiserver/pkg/admission/plugin/policy/mutating/patch/{smd,json_patch}.go

import {
  applyJsonPatch,
  ConfigurationError,
  cloneJson,
  DecodeError,
  decodeTyped,
  internalError,
  type KubeObject,
  mergeConfiguration,
  PatchError,
  type SchemaNode,
  StatusError,
  strictDecodingText,
} from '@podless/apimachinery'
import { normalizeObject } from '../objects/decode.ts'
import type { Resource } from '../resource.ts'
import type { Patch } from './mutation-program.ts'

/** The object a patch makes of one, or why it does not apply. Throws StatusError 500 for one that cannot be. */
export function applyMutation(
  patch: Patch,
  object: KubeObject,
  resource: Resource,
  subresource: string,
): KubeObject | { readonly error: string } {
  if (patch.type === 'error') return { error: patch.message }
  const view = viewSchema(resource, subresource, object)
  const schema = view ?? resource.schema
  const made =
    patch.type === 'configuration'
      ? configured(object, patch.value, schema)
      : patched(object, patch.value)
  if ('error' in made) return { error: String(made.error) }
  if (resource.custom === undefined && patch.type === 'operations') checkFields(made, schema)
  return view === undefined ? normalizeObject(made, resource) : typed(made, view)
}

/** The schema of what a subresource has in place of the object itself, as /scale does. */
function viewSchema(
  { subresources }: Resource,
  subresource: string,
  { kind }: KubeObject,
): SchemaNode | undefined {
  const door = subresources.get(subresource)
  return door?.type === 'virtual' && door.gvk.kind === kind ? door.schema : undefined
}

type Outcome = KubeObject | { readonly error: string }

function configured(
  object: KubeObject,
  configuration: Readonly<Record<string, unknown>>,
  schema: SchemaNode,
): Outcome {
  const { apiVersion, kind } = object
  const wanted = { ...configuration, apiVersion, kind } as Parameters<typeof mergeConfiguration>[1]
  try {
    return cloneJson(mergeConfiguration(object, wanted, schema)) as KubeObject
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return { error: `error applying patch: ${error.message}` }
  }
}

/** A failed test means that there is nothing to do. */
function patched(object: KubeObject, operations: Parameters<typeof applyJsonPatch>[1]): Outcome {
  try {
    return applyJsonPatch(object, operations) as KubeObject
  } catch (error) {
    const cause = error instanceof StatusError ? error.cause : error
    if (!(cause instanceof PatchError)) throw error
    return cause.code === 'testFailed' ? object : { error: `JSON Patch: ${cause.message}` }
  }
}

function checkFields(made: KubeObject, schema: SchemaNode): void {
  try {
    const { unknownFields } = decodeTyped(made, schema)
    if (unknownFields.length > 0) throw internalError(strictDecodingText(unknownFields))
  } catch (error) {
    if (error instanceof DecodeError) throw internalError(error.message, error)
    throw error
  }
}

function typed(made: KubeObject, schema: SchemaNode): KubeObject {
  const { object } = decodeTyped(made, schema)
  return { ...object, apiVersion: made.apiVersion, kind: made.kind } as KubeObject
}
