// A request as webhooks and policies see it, in the version their rule asked for. Pure; called by webhook.ts and
// validating-policy.ts. Ref: apiserver/pkg/admission/plugin/webhook/request/admissionreview.go

import {
  apiVersionOf,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
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
