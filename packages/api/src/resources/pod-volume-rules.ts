// What must hold of the volumes of a pod: one source each, with what that source needs. Called by pod-rules.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateVolumes, validateVolumeSource

import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isObject,
  type JsonObject,
  notSupported,
  parseQuantity,
  required,
} from '@podless/apimachinery'
import { fieldRefErrors, resourceRefErrors, VOLUME_FIELDS } from './pod-field-rules.ts'
import { int64At, numberAt, objectsAt, textAt } from './reading.ts'

const FILE_MODE_MAX = 0o777
const TOKEN_SECONDS_MIN = 600
const HOST_PATH_TYPES = [
  ...['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File'],
  ...['FileOrCreate', 'Socket'],
]

type SourceRule = (source: JsonObject, path: string) => FieldError[]

/** A rule for a source that needs these text fields and no more. */
const needs =
  (...fields: readonly string[]): SourceRule =>
  (source, path) =>
    fields.filter(field => textAt(source, field) === '').map(field => required(`${path}.${field}`))

/** Each source and what it needs, in the order in which upstream finds the one that counts. */
const SOURCES: Readonly<Record<string, SourceRule>> = {
  emptyDir: emptyDirErrors,
  hostPath: hostPathErrors,
  gitRepo: needs('repository'),
  gcePersistentDisk: needs('pdName'),
  awsElasticBlockStore: needs('volumeID'),
  secret: (source, path) => [...needs('secretName')(source, path), ...fileErrors(source, path)],
  nfs: nfsErrors,
  iscsi: needs('targetPortal', 'iqn'),
  glusterfs: needs('endpoints', 'path'),
  flocker: () => [],
  persistentVolumeClaim: needs('claimName'),
  rbd: needs('image'),
  cinder: needs('volumeID'),
  cephfs: () => [],
  quobyte: () => [],
  downwardAPI: (source, path) => [...modeErrors(source, path), ...downwardErrors(source, path)],
  fc: () => [],
  flexVolume: needs('driver'),
  configMap: (source, path) => [...needs('name')(source, path), ...fileErrors(source, path)],
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk: needs('diskName', 'diskURI'),
  storageos: () => [],
  scaleIO: needs('gateway', 'system', 'volumeName'),
  projected: projectedErrors,
  csi: needs('driver'),
  ephemeral: (source, path) =>
    isObject(source.volumeClaimTemplate) ? [] : [required(`${path}.volumeClaimTemplate`)],
  image: needs('reference'),
}

/** What is wrong with spec.volumes. */
export function volumeErrors(spec: JsonObject, path: string): FieldError[] {
  const seen = new Set<string>()
  return objectsAt(spec, 'volumes').flatMap((volume, index) => {
    const where = `${path}.volumes[${index}]`
    const name = textAt(volume, 'name')
    const errors = sourceErrors(volume, where)
    if (name === '') errors.push(required(`${where}.name`))
    else errors.push(...isDns1123Label(name).map(text => invalidValue(`${where}.name`, name, text)))
    if (seen.has(name)) errors.push(duplicate(`${where}.name`, name))
    seen.add(name)
    return errors
  })
}

function sourceErrors(volume: JsonObject, path: string): FieldError[] {
  const [first, ...others] = Object.keys(SOURCES).filter(name => isObject(volume[name]))
  if (first === undefined) return [required(path, 'must specify a volume type')]
  const rule = SOURCES[first]
  const source = volume[first]
  return [
    ...(rule === undefined || !isObject(source) ? [] : rule(source, `${path}.${first}`)),
    ...others.map(name =>
      forbiddenField(`${path}.${name}`, 'may not specify more than 1 volume type'),
    ),
  ]
}

function emptyDirErrors(source: JsonObject, path: string): FieldError[] {
  const limit = parseQuantity(textAt(source, 'sizeLimit'))
  const isNegative = limit.ok && limit.quantity.unscaled < 0n
  const detail = 'SizeLimit field must be a valid resource quantity'
  return isNegative ? [forbiddenField(`${path}.sizeLimit`, detail)] : []
}

function hostPathErrors(source: JsonObject, path: string): FieldError[] {
  const place = textAt(source, 'path')
  if (place === '') return [required(`${path}.path`)]
  const errors = backstepErrors(place, `${path}.path`)
  const type = textAt(source, 'type')
  if (!HOST_PATH_TYPES.includes(type)) {
    errors.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES))
  }
  return errors
}

function nfsErrors(source: JsonObject, path: string): FieldError[] {
  const place = textAt(source, 'path')
  const isAbsolute = place.startsWith('/')
  return [
    ...needs('server', 'path')(source, path),
    ...(isAbsolute ? [] : [invalidValue(`${path}.path`, place, 'must be an absolute path')]),
  ]
}

/** No part of the path may be `..`. */
export function backstepErrors(place: string, path: string): FieldError[] {
  const steps = place.split('/')
  return steps.includes('..') ? [invalidValue(path, place, "must not contain '..'")] : []
}

/** A path that stays below the place it starts from. */
export function descendingErrors(place: string, path: string): FieldError[] {
  const isAbsolute = place.startsWith('/')
  return [
    ...(isAbsolute ? [invalidValue(path, place, 'must be a relative path')] : []),
    ...backstepErrors(place, path),
  ]
}

/** Also may not begin as the kubelet's own names do. */
function freePathErrors(place: string, path: string): FieldError[] {
  const isReserved = place.startsWith('..') && !place.startsWith('../')
  return [
    ...descendingErrors(place, path),
    ...(isReserved ? [invalidValue(path, place, "must not start with '..'")] : []),
  ]
}

function modeErrors(source: JsonObject, path: string, field = 'defaultMode'): FieldError[] {
  const mode = numberAt(source, field) ?? 0
  const detail = 'must be a number between 0 and 0777 (octal), both inclusive'
  const isMode = mode >= 0 && mode <= FILE_MODE_MAX
  return isMode ? [] : [invalidValue(`${path}.${field}`, mode, detail)]
}

/** Sources that become files: their mode, and which keys become which. */
function fileErrors(source: JsonObject, path: string): FieldError[] {
  return [...modeErrors(source, path), ...itemErrors(source, path)]
}

function itemErrors(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap((item, index) => {
    const where = `${path}.items[${index}]`
    return [
      ...needs('key', 'path')(item, where),
      ...freePathErrors(textAt(item, 'path'), `${where}.path`),
      ...modeErrors(item, where, 'mode'),
    ]
  })
}

/** NOTE: upstream's paths name no item here. */
function downwardErrors(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap(item => {
    const errors = [
      ...needs('path')(item, path),
      ...freePathErrors(textAt(item, 'path'), `${path}.path`),
    ]
    const { fieldRef, resourceFieldRef } = item
    if (isObject(fieldRef)) {
      errors.push(...fieldRefErrors(fieldRef, `${path}.fieldRef`, VOLUME_FIELDS))
      const detail = 'fieldRef and resourceFieldRef can not be specified simultaneously'
      if (isObject(resourceFieldRef)) errors.push(invalidValue(path, 'resource', detail))
    } else if (isObject(resourceFieldRef)) {
      const where = `${path}.resourceFieldRef`
      if (textAt(resourceFieldRef, 'containerName') === '') {
        errors.push(required(`${where}.containerName`))
      }
      errors.push(...resourceRefErrors(resourceFieldRef, where))
    } else errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'))
    return [...errors, ...modeErrors(item, path, 'mode')]
  })
}

function projectedErrors(source: JsonObject, path: string): FieldError[] {
  const errors = modeErrors(source, path)
  objectsAt(source, 'sources').forEach((part, index) => {
    const where = `${path}.sources[${index}]`
    for (const field of ['secret', 'configMap'] as const) {
      const files = part[field]
      if (!isObject(files)) continue
      errors.push(...needs('name')(files, `${where}.${field}`))
      errors.push(...itemErrors(files, `${where}.${field}`))
    }
    if (isObject(part.downwardAPI)) {
      errors.push(...downwardErrors(part.downwardAPI, `${where}.downwardAPI`))
    }
    const token = part.serviceAccountToken
    if (isObject(token)) {
      const seconds = int64At(token, 'expirationSeconds') ?? 0
      if (seconds < TOKEN_SECONDS_MIN) {
        const detail = 'may not specify a duration less than 10 minutes'
        const at = `${where}.serviceAccountToken.expirationSeconds`
        errors.push(invalidValue(at, seconds, detail))
      }
      const place = textAt(token, 'path')
      if (place === '') errors.push(required(`${path}.path`))
      else errors.push(...freePathErrors(place, `${path}.path`))
    }
    if (Object.values(part).filter(isObject).length > 1) {
      errors.push(forbiddenField(where, 'may not specify more than 1 volume type per source'))
    }
  })
  return errors
}
