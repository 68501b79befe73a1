// Bindings and ComponentStatuses: two old kinds of the core group. Clients find them in discovery, and are told that there is
// no scheduler and no component to ask. Part of core.ts. Ref: kubernetes/pkg/registry/core/{pod/storage,componentstatus}

import { failure, type KubeObject, notFound } from '@podless/apimachinery'
import type { Resource, RuleContext } from '../resource.ts'
import { builtin } from './builtin.ts'
import { column, NAME } from './columns.ts'
import { objectsAt, textAt } from './reading.ts'

const PODS = { group: '', version: 'v1', resource: 'pods' }

async function bind(binding: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  const { name = '' } = binding.metadata
  const pod = ctx.services.lookup(PODS, ctx.namespace, name)
  if (pod === undefined) throw notFound(PODS, name)
  throw failure({
    code: 501,
    reason: 'NotImplemented',
    message: 'pods are not bound to nodes: podless stores them and runs none',
  })
}

// Object.assign keeps the lazy schema; a spread would read it.
const bindings = Object.assign(
  builtin({ group: '', kind: 'Binding', plural: 'bindings', verbs: ['create'] }),
  { create: bind },
)

const condition = (field: string) => (obj: KubeObject) => {
  const healthy = objectsAt(obj, 'conditions').find(entry => textAt(entry, 'type') === 'Healthy')
  return textAt(healthy, field)
}

/** There are none: what is written to their place in the store is nobody's. */
const componentStatuses = builtin({
  group: '',
  kind: 'ComponentStatus',
  plural: 'componentstatuses',
  shortNames: ['cs'],
  namespaced: false,
  verbs: ['get', 'list'],
  columns: [
    NAME,
    column('Status', 'Whether it is healthy.', obj =>
      condition('status')(obj) === 'True' ? 'Healthy' : 'Unhealthy',
    ),
    column('Message', 'What it answered.', condition('message')),
    column('Error', 'Why it did not.', condition('error')),
  ],
  more: { deprecationWarning: 'v1 ComponentStatus is deprecated in v1.19+' },
})

export const bindingResources: readonly Resource[] = [bindings, componentStatuses]
