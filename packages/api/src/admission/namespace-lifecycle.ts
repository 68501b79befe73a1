// A namespaced object needs a namespace that exists and is not on its way out; three namespaces cannot be deleted.
// The first step of the chain. Ref: apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go

import { forbidden, type KubeObject, notFound } from '@podless/apimachinery'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'

const NAMESPACES = { group: '', resource: 'namespaces' }
const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public'])

export interface NamespaceReader {
  /** What the cache knows. */
  readonly cached: (name: string) => KubeObject | undefined
  /** What the store knows, which a miss is looked up in again. */
  readonly stored: (name: string) => Promise<KubeObject | undefined>
}

export function namespaceLifecycle(namespaces: NamespaceReader): AdmissionStep {
  return {
    name: 'NamespaceLifecycle',
    mutate: attributes => {
      const { operation, resource, namespace, object } = attributes
      if (operation !== 'CREATE' || !resource.namespaced || namespace === '') return object
      const cached = namespaces.cached(namespace)
      if (cached === undefined) return checkStored(attributes, namespaces)
      refuseTerminating(attributes, cached)
      return object
    },
    validate: ({ operation, resource, name }) => {
      const isNamespace = resource.gvr.group === '' && resource.gvr.resource === 'namespaces'
      if (operation !== 'DELETE' || !isNamespace || !IMMORTAL.has(name)) return
      throw forbidden(NAMESPACES, name, 'this namespace may not be deleted')
    },
  }
}

async function checkStored(
  attributes: AdmissionAttributes,
  namespaces: NamespaceReader,
): Promise<KubeObject | undefined> {
  const found = await namespaces.stored(attributes.namespace)
  if (found === undefined) throw notFound(NAMESPACES, attributes.namespace)
  refuseTerminating(attributes, found)
  return attributes.object
}

function refuseTerminating(
  { resource, namespace, name }: AdmissionAttributes,
  found: KubeObject,
): void {
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
