// What is odd about a pod spec and stored all the same. Called by core-workload.ts, apps.ts and batch.ts.
// Ref: kubernetes/pkg/api/pod/warnings.go

import { equalJson, isDns1123Label, type JsonValue, type KubeObject } from '@podless/apimachinery'
import { portWarnings } from './container-rules.ts'
import { profileWarnings, seccompPodWarnings } from './profile-annotations.ts'
import { mapAt, objectsAt, textAt, valueAt } from './reading.ts'

const OLD_LABELS: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
}
const OLD_VOLUMES: Readonly<Record<string, string>> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
}

/** Texts for the Warning header about a pod, or a template at `above`, which ends with a dot. */
export function podWarnings(pod: JsonValue | undefined, above: string): string[] {
  const spec = valueAt(pod, 'spec')
  const path = `${above}spec`
  const texts = Object.keys(mapAt(spec, 'nodeSelector')).flatMap(key => {
    const why = OLD_LABELS[key]
    return why === undefined ? [] : [`${path}.nodeSelector[${key}]: ${why}`]
  })
  objectsAt(spec, 'volumes').forEach((volume, index) => {
    for (const [source, why] of Object.entries(OLD_VOLUMES)) {
      if (valueAt(volume, source) === undefined) continue
      const shown = source === 'storageos' ? 'storageOS' : source
      texts.push(`${path}.volumes[${index}].${shown}: ${why}`)
    }
  })
  objectsAt(spec, 'imagePullSecrets').forEach((secret, index) => {
    if (textAt(secret, 'name') !== '') return
    texts.push(`${path}.imagePullSecrets[${index}].name: invalid empty name ""`)
  })
  texts.push(...seccompPodWarnings(pod, above))
  for (const list of ['initContainers', 'containers']) {
    objectsAt(spec, list).forEach((container, index) => {
      const where = `${path}.${list}[${index}]`
      texts.push(
        ...profileWarnings(pod, container, above),
        ...hiddenVariables(container, where),
        ...portWarnings(container, where),
      )
    })
  }
  return texts
}

/** Names that pods' hosts are called by, and cannot be in full. `what` is where the name goes. */
export function hostnameWarnings({ metadata }: KubeObject, what: string): string[] {
  const texts = isDns1123Label(metadata.name ?? '')
  if (texts.length === 0) return []
  return [
    `metadata.name: this is used in ${what}, which can result in surprising behavior; a DNS label is recommended: [${texts.join(' ')}]`,
  ]
}

/** Warnings about a workload whose pod template is at `path`: when it is made, and when its template changes. */
export const workloadWarnings =
  (path: string) =>
  (obj: KubeObject, old: KubeObject | undefined): string[] => {
    const template = valueAt(obj, path)
    if (old !== undefined && equalJson(template, valueAt(old, path))) return []
    return [
      ...(old === undefined ? hostnameWarnings(obj, 'Pod names and hostnames') : []),
      ...podWarnings(template, `${path}.`),
    ]
  }

function hiddenVariables(container: JsonValue, path: string): string[] {
  const seen = new Set<string>()
  return objectsAt(container, 'env').flatMap((variable, index) => {
    const name = textAt(variable, 'name')
    const hides = seen.has(name)
    seen.add(name)
    const why = `hides previous definition of "${name}", which may be dropped when using apply`
    return hides ? [`${path}.env[${index}]: ${why}`] : []
  })
}
