// The annotations that named the seccomp and AppArmor profiles of containers before there were fields for it: they are
// copied, checked against the fields, and warned of. Called by core-workload.ts, pod-rules.ts and pod-warnings.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidatePodSpecificAnnotations, pkg/registry/core/pod applyAppArmorVersionSkew

import {
  equalJson,
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import { ensureObject, mapAt, objectAt, objectsAt, textAt, valueAt } from './reading.ts'

const LOCALHOST = 'localhost/'
const SECCOMP = {
  word: 'seccomp',
  field: 'seccompProfile',
  ofPod: 'seccomp.security.alpha.kubernetes.io/pod',
  ofContainer: 'container.seccomp.security.alpha.kubernetes.io/',
  types: new Map([
    ['unconfined', 'Unconfined'],
    ['runtime/default', 'RuntimeDefault'],
    ['docker/default', 'RuntimeDefault'],
  ]),
}
const APPARMOR = {
  word: 'apparmor',
  field: 'appArmorProfile',
  ofContainer: 'container.apparmor.security.beta.kubernetes.io/',
  types: new Map([
    ['unconfined', 'Unconfined'],
    ['runtime/default', 'RuntimeDefault'],
  ]),
}
type Kind = Pick<typeof SECCOMP, 'word' | 'field' | 'types'>

const LISTS = ['initContainers', 'containers', 'ephemeralContainers']
const isWindows = (pod: JsonValue | undefined): boolean => textAt(pod, 'spec.os.name') === 'windows'
const annotationsOf = (pod: JsonValue | undefined) => mapAt(pod, 'metadata.annotations')
const profileOf = (owner: JsonValue, { field }: Kind): JsonValue | undefined =>
  valueAt(owner, `securityContext.${field}`)

/** Gives containers the AppArmor profile that their annotation names, as nodes read the field alone. */
export function copyAppArmor(pod: KubeObject, warn: (text: string) => void): void {
  if (isWindows(pod)) return
  for (const container of LISTS.flatMap(list => objectsAt(pod, `spec.${list}`))) {
    if (!lacksAppArmor(pod, container)) continue
    warn(appArmorWarning(container, ''))
    const named = appArmorNamedBy(pod, container)
    if (named !== undefined) ensureObject(container, 'securityContext').appArmorProfile = named
  }
}

/** An annotation says what no field of the container says, nor one of the pod. */
function lacksAppArmor(pod: JsonValue | undefined, container: JsonObject): boolean {
  const annotation = annotationsOf(pod)[APPARMOR.ofContainer + textAt(container, 'name')]
  if (annotation === undefined || isObject(profileOf(container, APPARMOR))) return false
  const named = appArmorNamedBy(pod, container)
  const ofPod = profileOf(objectAt(pod, 'spec'), APPARMOR)
  return named === undefined || ofPod === undefined || !equalJson(named, ofPod)
}

/** Undefined where the annotation names no profile that a field may hold. */
function appArmorNamedBy(
  pod: JsonValue | undefined,
  container: JsonObject,
): JsonObject | undefined {
  const annotation = annotationsOf(pod)[APPARMOR.ofContainer + textAt(container, 'name')] ?? ''
  const type = APPARMOR.types.get(annotation)
  if (type !== undefined) return { type }
  const localhostProfile = annotation.slice(LOCALHOST.length)
  const isSound = localhostProfile !== '' && localhostProfile.trim() === localhostProfile
  if (!annotation.startsWith(LOCALHOST) || !isSound) return undefined
  return { type: 'Localhost', localhostProfile }
}

const appArmorWarning = (container: JsonObject, path: string): string =>
  `${path}metadata.annotations[${APPARMOR.ofContainer}${textAt(container, 'name')}]: deprecated since v1.30; use the "appArmorProfile" field instead`

/** Annotations of a pod or template that nothing reads any more. `path` is '' for a pod, and ends with a dot for templates. */
export function seccompPodWarnings(pod: JsonValue | undefined, path: string): string[] {
  return seccompWarnings(pod, objectAt(pod, 'spec'), SECCOMP.ofPod, path)
}

/** The same of one container. A pod's AppArmor annotations were warned of when they were copied. */
export function profileWarnings(
  pod: JsonValue | undefined,
  container: JsonObject,
  path: string,
): string[] {
  const key = SECCOMP.ofContainer + textAt(container, 'name')
  const isOpen = path !== '' && lacksAppArmor(pod, container)
  return [
    ...seccompWarnings(pod, container, key, path),
    ...(isOpen ? [appArmorWarning(container, path)] : []),
  ]
}

function seccompWarnings(
  pod: JsonValue | undefined,
  owner: JsonObject,
  key: string,
  path: string,
): string[] {
  if (annotationsOf(pod)[key] === undefined || isObject(profileOf(owner, SECCOMP))) return []
  return [
    `${path}metadata.annotations[${key}]: non-functional in v1.27+; use the "seccompProfile" field instead`,
  ]
}

/** What is wrong with annotations at `path` by themselves. */
export function profileAnnotationErrors(pod: JsonValue, path: string): FieldError[] {
  const names = LISTS.flatMap(list => objectsAt(pod, `spec.${list}`)).map(c => textAt(c, 'name'))
  return Object.entries(annotationsOf(pod)).flatMap(([key, value]) => {
    if (key === SECCOMP.ofPod || key.startsWith(SECCOMP.ofContainer)) {
      return seccompValueErrors(value, `${path}.${key}`)
    }
    if (!key.startsWith(APPARMOR.ofContainer)) return []
    const where = `${path}[${key}]`
    const name = key.slice(APPARMOR.ofContainer.length)
    const isKnown = value === '' || APPARMOR.types.has(value) || value.startsWith(LOCALHOST)
    const detail = `invalid AppArmor profile name: ${JSON.stringify(value)}`
    return [
      ...(names.includes(name) ? [] : [invalidValue(where, name, 'container not found')]),
      ...(isKnown ? [] : [invalidValue(where, value, detail)]),
    ]
  })
}

function seccompValueErrors(value: string, path: string): FieldError[] {
  if (SECCOMP.types.has(value)) return []
  if (!value.startsWith(LOCALHOST)) {
    return [invalidValue(path, value, 'must be a valid seccomp profile')]
  }
  const file = value.slice(LOCALHOST.length)
  return [
    ...(file.startsWith('/') ? [invalidValue(path, file, 'must be a relative path')] : []),
    ...(file.split('/').includes('..') ? [invalidValue(path, file, "must not contain '..'")] : []),
  ]
}

/** Where annotations name other profiles than the fields of the spec at `path`. */
export function profileMismatchErrors(pod: JsonValue, path: string): FieldError[] {
  const spec = objectAt(pod, 'spec')
  const annotations = annotationsOf(pod)
  const containers = LISTS.flatMap(list =>
    objectsAt(spec, list).map((container, index) => ({
      container,
      name: textAt(container, 'name'),
      where: `${path}.${list}[${index}]`,
    })),
  )
  const seccomp = containers.flatMap(({ container, name, where }) => {
    const annotation = annotations[SECCOMP.ofContainer + name]
    return mismatchErrors(SECCOMP, annotation, profileOf(container, SECCOMP), where)
  })
  const inherited = profileOf(spec, APPARMOR)
  const appArmor = containers.flatMap(({ container, name, where }) => {
    const annotation = annotations[APPARMOR.ofContainer + name]
    const profile = profileOf(container, APPARMOR) ?? inherited
    return mismatchErrors(APPARMOR, annotation, profile, where)
  })
  return [
    ...mismatchErrors(SECCOMP, annotations[SECCOMP.ofPod], profileOf(spec, SECCOMP), path),
    ...seccomp,
    ...(isWindows(pod) ? [] : appArmor),
  ]
}

function mismatchErrors(
  { word, field, types }: Kind,
  annotation: string | undefined,
  profile: JsonValue | undefined,
  path: string,
): FieldError[] {
  if (annotation === undefined || !isObject(profile)) return []
  const where = `${path}.securityContext.${field}`
  const type = annotation.startsWith(LOCALHOST) ? 'Localhost' : types.get(annotation)
  if (textAt(profile, 'type') !== type) {
    return [forbiddenField(`${where}.type`, `${word} type in annotation and field must match`)]
  }
  if (
    type !== 'Localhost' ||
    textAt(profile, 'localhostProfile') === annotation.slice(LOCALHOST.length)
  ) {
    return []
  }
  const detail = `${word} profile in annotation and field must match`
  return [forbiddenField(`${where}.localhostProfile`, detail)]
}

/** The AppArmor annotations of a pod stay what they were. */
export function appArmorUpdateErrors(pod: KubeObject, old: KubeObject): FieldError[] {
  const [now, before] = [annotationsOf(pod), annotationsOf(old)]
  const isOurs = (key: string): boolean => key.startsWith(APPARMOR.ofContainer)
  const refuse = (key: string, what: string): FieldError =>
    forbiddenField(`metadata.annotations[${key}]`, `may not ${what} AppArmor annotations`)
  const changed = Object.keys(before).filter(key => isOurs(key) && now[key] !== before[key])
  const added = Object.keys(now).filter(key => isOurs(key) && before[key] === undefined)
  return [
    ...changed.map(key => refuse(key, 'remove or update')),
    ...added.map(key => refuse(key, 'add')),
  ]
}
