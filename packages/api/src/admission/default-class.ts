// Gives a claim or an Ingress that names no class the one that is marked as the default. Two mutating steps.
// Ref: kubernetes/plugin/pkg/admission/storage/storageclass/setdefault/admission.go,
// kubernetes/plugin/pkg/admission/network/defaultingressclass/admission.go

import type { KubeObject } from '@podless/apimachinery'
import { ensureObject } from '../resources/reading.ts'
import { type AdmissionStep, isWriteOf } from './chain.ts'

interface DefaultClass {
  readonly name: string
  readonly group: string
  readonly plural: string
  readonly field: string
  /** The annotation that named the class before there was a field. */
  readonly older: string
  /** Any of these, set to "true", marks a class as the default. */
  readonly marks: readonly string[]
}

const STORAGE: DefaultClass = {
  name: 'DefaultStorageClass',
  group: '',
  plural: 'persistentvolumeclaims',
  field: 'storageClassName',
  older: 'volume.beta.kubernetes.io/storage-class',
  marks: [
    'storageclass.kubernetes.io/is-default-class',
    'storageclass.beta.kubernetes.io/is-default-class',
  ],
}
const INGRESS: DefaultClass = {
  name: 'DefaultIngressClass',
  group: 'networking.k8s.io',
  plural: 'ingresses',
  field: 'ingressClassName',
  older: 'kubernetes.io/ingress.class',
  marks: ['ingressclass.kubernetes.io/is-default-class'],
}

type ListClasses = () => Iterable<KubeObject>

export const defaultStorageClass = (list: ListClasses): AdmissionStep => step(STORAGE, list)
export const defaultIngressClass = (list: ListClasses): AdmissionStep => step(INGRESS, list)

function step({ name, group, plural, field, older, marks }: DefaultClass, list: ListClasses) {
  return {
    name,
    mutate: attributes => {
      const { object, operation } = attributes
      if (object === undefined || operation !== 'CREATE') return object
      if (!isWriteOf(attributes, group, plural)) return object
      if (object.metadata.annotations?.[older] !== undefined) return object
      const spec = ensureObject(object, 'spec')
      // An empty name is a choice too: no class at all.
      spec[field] ??= newest(list, marks) ?? null
      if (spec[field] === null) delete spec[field]
      return object
    },
  } satisfies AdmissionStep
}

/** The name of the newest default class, by name where they are equally old. */
function newest(list: ListClasses, marks: readonly string[]): string | undefined {
  let found: KubeObject | undefined
  for (const candidate of list()) {
    const { annotations = {} } = candidate.metadata
    if (!marks.some(mark => annotations[mark] === 'true')) continue
    if (found === undefined || goesBefore(candidate, found)) found = candidate
  }
  return found?.metadata.name
}

function goesBefore({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  const [born, other] = [a.creationTimestamp ?? '', b.creationTimestamp ?? '']
  return born === other ? (a.name ?? '') < (b.name ?? '') : born > other
}
