// The checks that level restricted adds to baseline, by their ids in alphabetical order, which is the order of messages.
// Called by violations.ts. Ref: pod-security-admission/policy/check_*.go

import { isObject, type JsonObject } from '@podless/apimachinery'
import { numberAt, objectsAt, textAt, textsAt, valueAt } from '../../resources/reading.ts'
import { procMount } from './baseline-checks.ts'
import { type Check, type CheckRow, unless } from './check-row.ts'
import {
  containersText,
  contextsOf,
  counted,
  hasOwnUsers,
  isForWindows,
  namesIn,
  namesWhere,
  quoted,
  settersIn,
  sortedOnce,
  usersText,
} from './pod-shape.ts'
import { seccompRequired } from './seccomp-checks.ts'

const allowPrivilegeEscalation: Check = pod => {
  const names = namesWhere(
    pod,
    container => valueAt(container, 'securityContext.allowPrivilegeEscalation') !== false,
  )
  if (names.length === 0) return undefined
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containersText(names)} must set securityContext.allowPrivilegeEscalation=false`,
  }
}

const capabilities: Check = pod => {
  const at = (container: JsonObject, field: string): readonly string[] =>
    textsAt(container, `securityContext.capabilities.${field}`)
  const addedBy = (container: JsonObject): readonly string[] =>
    at(container, 'add').filter(name => name !== 'NET_BIND_SERVICE')
  const keeping = namesWhere(pod, container => !at(container, 'drop').includes('ALL'))
  const adding = namesWhere(pod, container => addedBy(container).length > 0)
  const added = sortedOnce(pod.containers.flatMap(addedBy))
  const told = [
    ...(keeping.length > 0
      ? [`${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adding.length > 0
      ? [
          `${containersText(adding)} must not include ${quoted(added)} in securityContext.capabilities.add`,
        ]
      : []),
  ]
  if (told.length === 0) return undefined
  return { reason: 'unrestricted capabilities', detail: told.join('; ') }
}

const ALLOWED_VOLUMES = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image'],
  ...['persistentVolumeClaim', 'projected', 'secret'],
]
const RESTRICTED_VOLUMES = [
  ...['hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'gitRepo', 'nfs', 'iscsi'],
  ...['glusterfs', 'rbd', 'flexVolume', 'cinder', 'cephfs', 'flocker', 'fc', 'azureFile'],
  ...['vsphereVolume', 'quobyte', 'azureDisk', 'photonPersistentDisk', 'portworxVolume'],
  ...['scaleIO', 'storageos'],
]

const volumes: Check = ({ spec }) => {
  const bad = objectsAt(spec, 'volumes').filter(
    volume => !ALLOWED_VOLUMES.some(type => isObject(volume[type])),
  )
  if (bad.length === 0) return undefined
  const types = sortedOnce(
    bad.map(volume => RESTRICTED_VOLUMES.find(type => isObject(volume[type])) ?? 'unknown'),
  )
  const users = usersText(
    'volume',
    bad.map(volume => textAt(volume, 'name')),
  )
  return {
    reason: 'restricted volume types',
    detail: `${users} ${counted('restricted volume type', types)} ${quoted(types)}`,
  }
}

const runAsNonRoot: Check = pod => {
  const reason = 'runAsNonRoot != true'
  const contexts = contextsOf(pod)
  const refusing = contexts.filter(({ fields }) => fields.runAsNonRoot === false)
  if (refusing.length > 0) {
    const setters = settersIn(refusing).join(' and ')
    return { reason, detail: `${setters} must not set securityContext.runAsNonRoot=false` }
  }
  if (contexts[0].fields.runAsNonRoot === true) return undefined
  const silent = namesIn(contexts.filter(({ fields }) => fields.runAsNonRoot !== true))
  if (silent.length === 0) return undefined
  return {
    reason,
    detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true`,
  }
}

const runAsUser: Check = pod => {
  const roots = contextsOf(pod).filter(({ fields }) => numberAt(fields, 'runAsUser') === 0)
  if (roots.length === 0) return undefined
  return {
    reason: 'runAsUser=0',
    detail: `${settersIn(roots).join(' and ')} must not set runAsUser=0`,
  }
}

/** Validation keeps these fields out of pods for Windows, which is why they need not be there. */
const sinceWindows = (since: number, check: Check): CheckRow['versions'] => [
  [since, check],
  [25, unless(isForWindows, check)],
]
/** Root in a pod with users of its own is nobody on the node. */
const sinceOwnUsers = (since: number, check: Check): CheckRow['versions'] => [
  [since, check],
  [35, unless(hasOwnUsers, check)],
]

export const RESTRICTED: readonly CheckRow[] = [
  { id: 'allowPrivilegeEscalation', versions: sinceWindows(8, allowPrivilegeEscalation) },
  {
    id: 'capabilities_restricted',
    versions: sinceWindows(22, capabilities),
    replaces: 'capabilities_baseline',
  },
  { id: 'procMount_restricted', versions: [[35, procMount]], replaces: 'procMount' },
  { id: 'restrictedVolumes', versions: [[0, volumes]], replaces: 'hostPathVolumes' },
  { id: 'runAsNonRoot', versions: sinceOwnUsers(0, runAsNonRoot) },
  { id: 'runAsUser', versions: sinceOwnUsers(23, runAsUser) },
  {
    id: 'seccompProfile_restricted',
    versions: sinceWindows(19, seccompRequired),
    replaces: 'seccompProfile_baseline',
  },
]
