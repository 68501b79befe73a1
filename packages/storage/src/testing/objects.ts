// Small API objects for storage's tests, and their bytes as a verb would write them.
// Called by storage-suite.ts and the tests beside the code.

import type { KubeObject } from '@podless/apimachinery'
import { listPrefix, objectKey } from '../keys.ts'
import { encodeObject } from '../stored-object.ts'

export const CONFIG_MAPS = '/registry/configmaps'
export const WIDGETS = '/registry/example.com/widgets'

export interface ObjectSpec {
  readonly resource?: string
  readonly namespace?: string
  readonly name: string
  readonly labels?: Record<string, string>
  readonly value?: string
}

export function testKey({ resource = CONFIG_MAPS, namespace = 'default', name }: ObjectSpec) {
  return objectKey(resource, namespace, name)
}

export function testPrefix(resource = CONFIG_MAPS, namespace = ''): string {
  return listPrefix(resource, namespace)
}

export function testObject(spec: ObjectSpec): KubeObject {
  const { namespace = 'default', name, labels, value = '' } = spec
  const metadata = {
    name,
    namespace,
    uid: `uid-${name}`,
    ...(labels === undefined ? {} : { labels }),
  }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value } }
}

export function testBytes(spec: ObjectSpec): Buffer {
  return encodeObject(testObject(spec))
}
