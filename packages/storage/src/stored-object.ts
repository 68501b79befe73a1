// An object as the cache holds it: its encoded bytes, shared by every reader, beside what selectors and loops need.
// Made by cacher.ts from backend entries; read by api/src/verbs and controllers. Never changed once made.

import type { JsonObject, KubeObject, OwnerReference } from '@podless/apimachinery'

export interface StoredObject {
  /** The storage key, `/registry/...`. */
  readonly key: string
  /** The storage number behind metadata.resourceVersion. */
  readonly revision: number
  /** UTF-8 JSON of the object in its storage version, metadata.resourceVersion already spliced in. */
  readonly bytes: Buffer
  readonly header: ObjectHeader
  /** Derived answers (other encodings, selectable fields), by a name its maker chooses; dropped with the object. */
  readonly memo: Map<string, unknown>
}

export interface ObjectHeader {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  readonly ownerReferences: readonly OwnerReference[]
  readonly finalizers: readonly string[]
  readonly deletionTimestamp: string | undefined
}

/** A fresh parse of the bytes; the caller owns it and may change it. */
export type ParseObject = (stored: StoredObject) => KubeObject & JsonObject
