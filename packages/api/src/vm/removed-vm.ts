// Admission: istiod may not register a VM that was removed. Its workload certificate outlives its other credentials by up to
// a day, and lets its agent in at istiod; without a WorkloadEntry istiod ends the connection. A step of the chain.
// Ref: istio/pilot/pkg/autoregistration/controller.go

import { forbidden } from '@podless/apimachinery'
import type { AdmissionStep } from '../admission/chain.ts'
import { VM_LABEL } from './vm-record.ts'

/** istiod's annotation of the entries it makes: those made by hand are their author's business. */
const REGISTERED = 'istio.io/autoRegistrationGroup'

/** `isVm` tells whether a VM of that name was added to the namespace. */
export function removedVmStep(isVm: (namespace: string, name: string) => boolean): AdmissionStep {
  return {
    name: 'RemovedVm',
    validate: ({ operation, resource: { gvr }, namespace, name, object }) => {
      if (operation !== 'CREATE' || gvr.resource !== 'workloadentries') return
      if (gvr.group !== 'networking.istio.io') return
      const { labels, annotations } = object?.metadata ?? {}
      const vm = labels?.[VM_LABEL]
      if (vm === undefined || annotations?.[REGISTERED] === undefined || isVm(namespace, vm)) return
      throw forbidden(gvr, name, `the VM ${vm} was removed; podless vm add ${vm} lets it in again`)
    },
  }
}
