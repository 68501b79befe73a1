// A request as webhooks and policies see it, in the version their rule asked for. Called by webhook.ts, for which it has
// a CRD's webhook convert objects, and by validating-policy.ts.
// Ref: apiserver/pkg/admission/plugin/webhook/request/admissionreview.go

import {
  apiVersionOf,
  cloneJson,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import type { AdmissionAttributes } from './chain.ts'

/** AdmissionRequest without uid, object and oldObject. */
export function admissionRequest(attributes: AdmissionAttributes, version: string): JsonObject {
  const { resource, subresource, namespace, name, operation, user, dryRun, options } = attributes
  const { gvr, names } = resource
  const kind = (v: string): JsonObject => ({ group: gvr.group, version: v, kind: names.kind })
  const place = (v: string): JsonObject => ({
    group: gvr.group,
    version: v,
    resource: gvr.resource,
  })
  const sub =
    subresource === '' ? {} : { subResource: subresource, requestSubResource: subresource }
  return {
    kind: kind(version),
    resource: place(version),
    ...sub,
    requestKind: kind(gvr.version),
    requestResource: place(gvr.version),
    ...(name === '' ? {} : { name }),
    ...(namespace === '' || !resource.namespaced ? {} : { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      groups: [...user.groups],
      ...(user.extra === undefined
        ? {}
        : {
            extra: Object.fromEntries(
              Object.entries(user.extra).map(([key, values]) => [key, [...values]]),
            ),
          }),
    },
    dryRun,
    options,
  }
}

/** The object under another version's name; null when there is none. */
export function inVersion(
  { resource }: AdmissionAttributes,
  obj: KubeObject | undefined,
  version: string,
): JsonValue {
  if (obj === undefined) return null
  return { ...obj, apiVersion: apiVersionOf({ group: resource.gvr.group, version }) }
}

/** The attributes with their objects as another served version shows them. Rejects with 500 where its webhook fails. */
export async function convertedTo(
  version: string,
  attributes: AdmissionAttributes,
  registry: Registry,
): Promise<AdmissionAttributes> {
  const { resource, object, oldObject } = attributes
  const target = registry.lookup({ ...resource.gvr, version })
  if (target === undefined || target.conversion === undefined || version === resource.gvr.version)
    return attributes
  return {
    ...attributes,
    object: object && (await convertedBetween(object, resource, target)),
    oldObject: oldObject && (await convertedBetween(oldObject, resource, target)),
  }
}

/** An object of `from`'s version in `to`'s. One of another kind, as a subresource has, stays what it is. */
export async function convertedBetween(
  object: KubeObject,
  from: Resource,
  to: Resource,
): Promise<KubeObject> {
  if (to.conversion === undefined || object.apiVersion !== apiVersionOf(from.gvr)) return object
  const [made] = await to.conversion.fromStored([cloneJson(object)])
  return made ?? object
}
