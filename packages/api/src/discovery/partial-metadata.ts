// PartialObjectMetadata: an object reduced to its metadata. Called by respond.ts, watch-frame.ts and table.ts.
// Ref: apimachinery/pkg/apis/meta/v1/types.go PartialObjectMetadata

import type { JsonObject, KubeObject } from '@podless/apimachinery'

const META_VERSION = 'meta.k8s.io/v1'

export function partialMetadata({ metadata }: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata }
}

/** `metadata` is the list's own: resourceVersion, continue, remainingItemCount. */
export function partialMetadataList(
  objects: readonly KubeObject[],
  metadata: JsonObject,
): JsonObject {
  const items = objects.map(partialMetadata)
  return { kind: 'PartialObjectMetadataList', apiVersion: META_VERSION, metadata, items }
}
