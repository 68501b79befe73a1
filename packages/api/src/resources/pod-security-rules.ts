// What must hold of the security contexts of a pod and its containers. Called by pod-rules.ts and container-rules.ts.
// Ref: kubernetes/pkg/apis/core/validation validatePodSpecSecurityContext, ValidateSecurityContext

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isInRange,
  isObject,
  type JsonObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { int64At, listAt, objectsAt, textAt } from './reading.ts'

const ID_MAX = 2 ** 31 - 1
const PROC_MOUNTS = ['Default', 'Unmasked']
const OWNERSHIP = ['Always', 'OnRootMismatch']
const PROFILES = ['Localhost', 'RuntimeDefault', 'Unconfined']
const SYSCTL_LENGTH_MAX = 253
const SYSCTL_PATTERN = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$'
const SYSCTL = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/

function idErrors(context: JsonObject, field: string, path: string): FieldError[] {
  const id = int64At(context, field)
  if (id === undefined) return []
  return isInRange(id, 0, ID_MAX).map(text => invalidValue(`${path}.${field}`, id, text))
}

function choiceErrors(
  context: JsonObject,
  field: string,
  choices: readonly string[],
  path: string,
): FieldError[] {
  const value = context[field]
  if (typeof value !== 'string' || choices.includes(value)) return []
  return [notSupported(`${path}.${field}`, value, choices)]
}

function profileErrors(context: JsonObject, field: string, path: string): FieldError[] {
  const profile = context[field]
  if (!isObject(profile)) return []
  const where = `${path}.${field}`
  const type = textAt(profile, 'type')
  const local = profile.localhostProfile ?? undefined
  const errors: FieldError[] = PROFILES.includes(type)
    ? []
    : [notSupported(`${where}.type`, type, PROFILES)]
  const kind = field === 'seccompProfile' ? 'seccomp' : 'AppArmor'
  if (type === 'Localhost' && local === undefined) {
    const detail = `must be set when ${kind} type is Localhost`
    errors.push(required(`${where}.localhostProfile`, detail))
  } else if (type !== 'Localhost' && local !== undefined) {
    const detail = `can only be set when ${kind} type is Localhost`
    errors.push(invalidValue(`${where}.localhostProfile`, local, detail))
  }
  return errors
}

/** What is wrong with the securityContext of a pod spec at `path`. */
export function podSecurityErrors(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    const detail = 'ShareProcessNamespace and HostPID cannot both be enabled'
    const where = `${path}.securityContext.shareProcessNamespace`
    errors.push(invalidValue(where, true, detail))
  }
  if (spec.hostUsers === false) {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) {
      if (spec[field] !== true) continue
      errors.push(forbiddenField(`${path}.${field}`, 'when `hostUsers` is false'))
    }
  }
  const context = spec.securityContext
  if (!isObject(context)) return errors
  const where = `${path}.securityContext`
  for (const field of ['fsGroup', 'runAsUser', 'runAsGroup']) {
    errors.push(...idErrors(context, field, where))
  }
  listAt(context, 'supplementalGroups').forEach((id, index) => {
    const texts = isInRange(Number(id), 0, ID_MAX)
    errors.push(
      ...texts.map(text => invalidValue(`${where}.supplementalGroups[${index}]`, id, text)),
    )
  })
  return [
    ...errors,
    ...sysctlErrors(context, where),
    ...choiceErrors(context, 'fsGroupChangePolicy', OWNERSHIP, where),
    ...profileErrors(context, 'seccompProfile', where),
    ...profileErrors(context, 'appArmorProfile', where),
  ]
}

function sysctlErrors(context: JsonObject, path: string): FieldError[] {
  return objectsAt(context, 'sysctls').flatMap((sysctl, index) => {
    const name = textAt(sysctl, 'name')
    const where = `${path}.sysctls[${index}].name`
    if (name === '') return [required(where)]
    if (name.length <= SYSCTL_LENGTH_MAX && SYSCTL.test(name)) return []
    const detail = `must have at most ${SYSCTL_LENGTH_MAX} characters and match regex ${SYSCTL_PATTERN}`
    return [invalidValue(where, name, detail)]
  })
}

/** What is wrong with the securityContext of a container at `path`. */
export function containerSecurityErrors(
  container: JsonObject,
  path: string,
  spec: JsonObject,
): FieldError[] {
  const context = container.securityContext
  if (!isObject(context)) return []
  const where = `${path}.securityContext`
  const errors = [
    ...idErrors(context, 'runAsUser', where),
    ...idErrors(context, 'runAsGroup', where),
    ...choiceErrors(context, 'procMount', PROC_MOUNTS, where),
    ...profileErrors(context, 'seccompProfile', where),
    ...profileErrors(context, 'appArmorProfile', where),
  ]
  if (context.procMount === 'Unmasked' && spec.hostUsers !== false) {
    const detail = '`hostUsers` must be false to use `Unmasked`'
    errors.push(invalidValue(`${where}.procMount`, 'Unmasked', detail))
  }
  if (context.allowPrivilegeEscalation !== false) return errors
  // NOTE: upstream shows its own form of the whole context, whose names begin with capitals.
  const shown = { Privileged: context.privileged ?? null, AllowPrivilegeEscalation: false }
  const refuse = (what: string): FieldError =>
    invalidValue(where, shown, `cannot set \`allowPrivilegeEscalation\` to false and ${what}`)
  if (context.privileged === true) errors.push(refuse('`privileged` to true'))
  for (const capability of listAt(context, 'capabilities.add')) {
    if (capability === 'CAP_SYS_ADMIN') errors.push(refuse('`capabilities.Add` CAP_SYS_ADMIN'))
  }
  return errors
}
