// A CRD on its way out takes no new instances. A step of the chain.
// Ref: apiextensions-apiserver/pkg/apiserver/customresource_handler.go forbidCreateAdmission

import { forbidden } from '@podless/apimachinery'
import type { AdmissionStep } from './chain.ts'

export const terminatingCrdStep: AdmissionStep = {
  name: 'TerminatingCustomResourceDefinition',
  mutate: ({ operation, resource, name, object }) => {
    if (operation === 'CREATE' && resource.isTerminating === true) {
      const why = 'create not allowed while custom resource definition is terminating'
      throw forbidden(resource.gvr, name, why)
    }
    return object
  },
}
