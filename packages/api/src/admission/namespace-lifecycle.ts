// A namespaced object needs a namespace that exists and is not on its way out; three namespaces cannot be deleted.
// The first step of the chain. Ref: apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go

import { forbidden, type KubeObject, notFound } from '@podless/apimachinery'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'

const NAMESPACES = { group: '', resource: 'namespaces' }
const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public'])

/** `getNamespace` reads the namespace as fresh as it must be: a miss is looked up again in the store. */
export function namespaceLifecycle(
  getNamespace: (name: string) => Promise<KubeObject | undefined>,
): AdmissionStep {
  return {
    name: 'NamespaceLifecycle',
    mutate: async attributes => {
      await check(attributes, getNamespace)
      return attributes.object
    },
    validate: ({ operation, resource, name }) => {
      const isNamespace = resource.gvr.group === '' && resource.gvr.resource === 'namespaces'
      if (operation !== 'DELETE' || !isNamespace || !IMMORTAL.has(name)) return
      throw forbidden(NAMESPACES, name, 'this namespace may not be deleted')
    },
  }
}

async function check(
  { operation, resource, namespace, name }: AdmissionAttributes,
  getNamespace: (name: string) => Promise<KubeObject | undefined>,
): Promise<void> {
  if (operation !== 'CREATE' || !resource.namespaced || namespace === '') return
  const found = await getNamespace(namespace)
  if (found === undefined) throw notFound(NAMESPACES, namespace)
  if (found.metadata.deletionTimestamp === undefined) return
  const error = forbidden(
    resource.gvr,
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  )
  error.body.details = {
    ...error.body.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  }
  throw error
}
