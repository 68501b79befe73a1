// What pod specs are filled in with, wherever they stand. Called by core-workload.ts, apps.ts and batch.ts; what must hold of
// them is in pod-rules.ts. Ref: kubernetes/pkg/apis/core/v1/defaults.go

import { isObject, type JsonObject } from '@podless/apimachinery'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'

const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers']
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe']
/** 0644: what files of mounted sources get. */
const FILE_MODE = 420
const VOLUMES_WITH_MODE = ['secret', 'configMap', 'downwardAPI', 'projected']

/** Fills in a pod's spec (not a template's: a pod of its own also gets enableServiceLinks). */
export function defaultPodSpec(spec: JsonObject): void {
  fillEmpty(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
  })
  fillDefaults(spec, { securityContext: {}, terminationGracePeriodSeconds: 30 })
  // A negative time is an older way to say: at once, but not by force.
  if ((numberAt(spec, 'terminationGracePeriodSeconds') ?? 0) < 0)
    spec.terminationGracePeriodSeconds = 1
  joinAccountNames(spec)
  for (const list of CONTAINER_LISTS) {
    for (const container of objectsAt(spec, list)) defaultContainer(container, spec)
  }
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume)
}

/** serviceAccount is the older name of serviceAccountName; both are written. */
function joinAccountNames(spec: JsonObject): void {
  const name = textAt(spec, 'serviceAccountName') || textAt(spec, 'serviceAccount')
  if (name === '') return
  spec.serviceAccountName = name
  spec.serviceAccount = name
}

function defaultContainer(container: JsonObject, spec: JsonObject): void {
  fillEmpty(container, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest(textAt(container, 'image')) ? 'Always' : 'IfNotPresent',
  })
  fillDefaults(container, { resources: {} })
  const resources = ensureObject(container, 'resources')
  const limits = objectAt(resources, 'limits')
  if (Object.keys(limits).length > 0) {
    fillDefaults(ensureObject(resources, 'requests'), limits)
  }
  for (const port of objectsAt(container, 'ports')) {
    fillEmpty(port, { protocol: 'TCP' })
    if (spec.hostNetwork === true) port.hostPort ??= port.containerPort ?? 0
  }
  for (const probe of PROBES) {
    const value = container[probe]
    if (isObject(value)) defaultProbe(value)
  }
  for (const hook of ['postStart', 'preStop']) {
    const get = valueAt(container, ['lifecycle', hook, 'httpGet'])
    if (isObject(get)) fillEmpty(get, { path: '/', scheme: 'HTTP' })
  }
  for (const variable of objectsAt(container, 'env')) {
    const field = valueAt(variable, 'valueFrom.fieldRef')
    if (isObject(field)) fillEmpty(field, { apiVersion: 'v1' })
  }
}

function isLatest(image: string): boolean {
  if (image.includes('@')) return false
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest'
}

function defaultProbe(probe: JsonObject): void {
  const counts = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
  for (const [field, value] of Object.entries(counts)) {
    if ((probe[field] ?? 0) === 0) probe[field] = value
  }
  const get = probe.httpGet
  if (isObject(get)) fillEmpty(get, { path: '/', scheme: 'HTTP' })
  const grpc = probe.grpc
  if (isObject(grpc)) fillDefaults(grpc, { service: '' })
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every(key => key === 'name')) volume.emptyDir = {}
  for (const source of VOLUMES_WITH_MODE) {
    const value = volume[source]
    if (isObject(value)) fillDefaults(value, { defaultMode: FILE_MODE })
  }
  const hostPath = volume.hostPath
  if (isObject(hostPath)) fillDefaults(hostPath, { type: '' })
  for (const source of objectsAt(volume, 'projected.sources')) {
    const token = source.serviceAccountToken
    if (isObject(token)) fillDefaults(token, { expirationSeconds: 3600 })
    for (const item of objectsAt(source, 'downwardAPI.items')) defaultFieldRef(item)
  }
  for (const item of objectsAt(volume, 'downwardAPI.items')) defaultFieldRef(item)
}

function defaultFieldRef(item: JsonObject): void {
  const field = item.fieldRef
  if (isObject(field)) fillEmpty(field, { apiVersion: 'v1' })
}

/** Fills in the template under `spec.template` of a workload. */
export function defaultTemplate(spec: JsonObject): void {
  const template = ensureObject(spec, 'template')
  defaultPodSpec(ensureObject(template, 'spec'))
}
