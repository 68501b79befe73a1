// The built-in schemas and their OpenAPI form.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SchemaNode } from '../schema/node.ts'
import { builtinOpenApi, builtinOpenApiName, reachableOpenApiNames } from './builtin-openapi.ts'
import { builtinKinds, builtinSchema, builtinTypeSchema } from './field-table.ts'

const at = (root: SchemaNode | undefined, ...path: string[]): SchemaNode => {
  let node = root
  for (const step of path) node = step === '[]' ? node?.items : node?.properties?.get(step)
  assert.ok(node !== undefined, path.join('.'))
  return node
}
const POD = builtinSchema({ group: '', version: 'v1', kind: 'Pod' })

test('builtinSchema() knows every built-in kind and no other', () => {
  const kinds = builtinKinds()
  assert.ok(kinds.length > 150)
  for (const gvk of kinds) assert.equal(builtinSchema(gvk)?.type, 'object', gvk.kind)
  assert.equal(builtinSchema({ group: 'x.io', version: 'v1', kind: 'Pod' }), undefined)
  assert.equal(builtinSchema({ group: '', version: 'v1', kind: 'constructor' }), undefined)
  assert.ok(builtinSchema({ group: 'apps', version: 'v1', kind: 'DeleteOptions' }))
})

test('schema nodes carry list types, merge keys, defaults and Go types', () => {
  const {
    properties: _properties,
    items: _items,
    required: _required,
    ...ports
  } = at(POD, 'spec', 'containers', '[]', 'ports')
  assert.deepEqual(ports, {
    type: 'array',
    goType: '[]v1.ContainerPort',
    presence: 'omitempty',
    listType: 'map',
    listMapKeys: ['containerPort', 'protocol'],
    patchStrategy: ['merge'],
    patchMergeKey: 'containerPort',
  })
  assert.equal(at(POD, 'spec', 'containers', '[]', 'ports', '[]', 'protocol').default, 'TCP')
  assert.equal(at(POD, 'spec', 'nodeSelector').mapType, 'atomic')
  assert.equal(at(POD, 'spec', 'volumes').patchStrategy?.join(), 'merge,retainKeys')
  assert.equal(at(POD, 'spec', 'volumes', '[]', 'hostPath', 'path').goType, 'string')
  assert.equal(at(POD, 'metadata', 'finalizers').listType, 'set')
  assert.equal(at(POD, 'metadata', 'creationTimestamp').format, 'date-time')
})

test('properties stand in the order of the wire', () => {
  assert.deepEqual(
    [...(POD?.properties?.keys() ?? [])],
    ['apiVersion', 'kind', 'metadata', 'spec', 'status'],
  )
})

test('a type that contains itself has one schema', () => {
  const props = builtinTypeSchema(
    'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps',
  )
  const inner = at(props, 'properties').additionalProperties
  assert.equal(inner?.properties, props?.properties)
})

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

test('builtinOpenApi() spells a ConfigMap as the recorded server does', () => {
  assert.deepEqual(builtinOpenApi('io.k8s.api.core.v1.ConfigMap'), {
    type: 'object',
    properties: {
      kind: { type: 'string' },
      apiVersion: { type: 'string' },
      metadata: { allOf: [ref(`${META}.ObjectMeta`)], default: {} },
      immutable: { type: 'boolean' },
      data: { type: 'object', additionalProperties: { type: 'string', default: '' } },
      binaryData: { type: 'object', additionalProperties: { type: 'string', format: 'byte' } },
    },
    'x-kubernetes-group-version-kind': [{ group: '', kind: 'ConfigMap', version: 'v1' }],
  })
})

test('builtinOpenApi() carries lists, unions of numbers and strings, and required fields', () => {
  const owner = builtinOpenApi(`${META}.OwnerReference`)
  assert.deepEqual(owner?.required, ['apiVersion', 'kind', 'name', 'uid'])
  assert.equal(owner?.['x-kubernetes-map-type'], 'atomic')
  const meta = builtinOpenApi(`${META}.ObjectMeta`)?.properties as Record<string, unknown>
  assert.deepEqual(meta.ownerReferences, {
    type: 'array',
    items: { allOf: [ref(`${META}.OwnerReference`)], default: {} },
    'x-kubernetes-list-map-keys': ['uid'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'uid',
    'x-kubernetes-patch-strategy': 'merge',
  })
  assert.deepEqual(meta.creationTimestamp, { allOf: [ref(`${META}.Time`)] })
  assert.deepEqual(builtinOpenApi('io.k8s.apimachinery.pkg.util.intstr.IntOrString'), {
    format: 'int-or-string',
    oneOf: [{ type: 'integer' }, { type: 'string' }],
  })
  assert.equal(builtinOpenApi('io.k8s.api.core.v1.Nothing'), undefined)
})

test('every reference of a reachable schema is itself reachable', () => {
  const name = builtinOpenApiName({ group: '', version: 'v1', kind: 'Pod' })
  assert.equal(name, 'io.k8s.api.core.v1.Pod')
  const names = reachableOpenApiNames('io.k8s.api.core.v1.Pod')
  for (const reachable of names) {
    const text = JSON.stringify(builtinOpenApi(reachable))
    for (const [, target] of text.matchAll(/#\/components\/schemas\/([^"]+)/g)) {
      assert.ok(target !== undefined && names.has(target), `${reachable} -> ${target}`)
    }
  }
})
