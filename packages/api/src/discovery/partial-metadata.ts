// PartialObjectMetadata: an object reduced to its metadata. Called by respond.ts, watch-frame.ts and table.ts.
// Ref: apimachinery/pkg/apis/meta/v1/types.go PartialObjectMetadata

import type { JsonObject, KubeObject } from '@podless/apimachinery'

/** The versions of meta.k8s.io that a client may ask for; they differ in nothing but their name. */
export type MetaVersion = 'v1' | 'v1beta1'

export function partialMetadata({ metadata }: KubeObject, version: MetaVersion = 'v1'): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata }
}

/** `metadata` is the list's own: resourceVersion, continue, remainingItemCount. */
export function partialMetadataList(
  objects: readonly KubeObject[],
  metadata: JsonObject,
  version: MetaVersion = 'v1',
): JsonObject {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    items: objects.map(obj => partialMetadata(obj, version)),
  }
}
