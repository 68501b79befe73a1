// The checks of level baseline, by their ids in alphabetical order, which is the order of messages. Called by violations.ts.
// Ref: pod-security-admission/policy/check_*.go

import { isObject, type JsonObject, quoteGo } from '@podless/apimachinery'
import { numberAt, objectsAt, textAt, textsAt, valueAt } from '../../resources/reading.ts'
import { type Check, type CheckRow, unless } from './check-row.ts'
import {
  containersText,
  contextsOf,
  counted,
  hasOwnUsers,
  namesWhere,
  type PodShape,
  quoted,
  settersIn,
  sortedOnce,
  usersText,
} from './pod-shape.ts'
import { seccompAnnotations, seccompFields } from './seccomp-checks.ts'

const APPARMOR_TYPES: ReadonlySet<string> = new Set(['RuntimeDefault', 'Localhost'])
const APPARMOR_PREFIX = 'container.apparmor.security.beta.kubernetes.io/'

const appArmor: Check = pod => {
  const typeOf = (fields: JsonObject): string => textAt(fields, 'appArmorProfile.type')
  const contexts = contextsOf(pod).filter(
    ({ fields }) => isObject(fields.appArmorProfile) && !APPARMOR_TYPES.has(typeOf(fields)),
  )
  const annotations = Object.entries(pod.annotations)
    .filter(([key, value]) => key.startsWith(APPARMOR_PREFIX) && !isAppArmorAnnotation(value))
    .map(([key, value]) => `${key}=${quoteGo(value)}`)
    .sort()
  const setters = [
    ...settersIn(contexts),
    ...(annotations.length > 0 ? [counted('annotation', annotations)] : []),
  ]
  if (setters.length === 0) return undefined
  const values = [...sortedOnce(contexts.map(({ fields }) => typeOf(fields))), ...annotations]
  return {
    reason: counted('forbidden AppArmor profile', values),
    detail: `${setters.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  }
}

const isAppArmorAnnotation = (value: string): boolean =>
  value === '' || value === 'runtime/default' || value.startsWith('localhost/')

const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD'],
  ...['NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
])

const capabilities: Check = pod => {
  const addedBy = (container: JsonObject): readonly string[] =>
    textsAt(container, 'securityContext.capabilities.add').filter(
      name => !DEFAULT_CAPABILITIES.has(name),
    )
  const names = namesWhere(pod, container => addedBy(container).length > 0)
  if (names.length === 0) return undefined
  const added = sortedOnce(pod.containers.flatMap(addedBy))
  return {
    reason: 'non-default capabilities',
    detail: `${containersText(names)} must not include ${quoted(added)} in securityContext.capabilities.add`,
  }
}

const hostNamespaces: Check = ({ spec }) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter(field => spec[field] === true)
  if (used.length === 0) return undefined
  return { reason: 'host namespaces', detail: used.map(field => `${field}=true`).join(', ') }
}

const hostPathVolumes: Check = ({ spec }) => {
  const names = objectsAt(spec, 'volumes')
    .filter(({ hostPath }) => isObject(hostPath))
    .map(volume => textAt(volume, 'name'))
  if (names.length === 0) return undefined
  return { reason: 'hostPath volumes', detail: `${counted('volume', names)} ${quoted(names)}` }
}

const hostPorts: Check = pod => {
  const portsOf = (container: JsonObject): readonly string[] =>
    objectsAt(container, 'ports')
      .map(port => numberAt(port, 'hostPort') ?? 0)
      .filter(port => port !== 0)
      .map(String)
  const names = namesWhere(pod, container => portsOf(container).length > 0)
  if (names.length === 0) return undefined
  const ports = sortedOnce(pod.containers.flatMap(portsOf))
  return {
    reason: 'hostPort',
    detail: `${usersText('container', names)} ${counted('hostPort', ports)} ${ports.join(', ')}`,
  }
}

const HANDLERS = [
  ...['livenessProbe', 'readinessProbe', 'startupProbe'],
  ...['lifecycle.postStart', 'lifecycle.preStop'],
].flatMap(handler => [`${handler}.httpGet.host`, `${handler}.tcpSocket.host`])

const hostsOfHandlers: Check = pod => {
  const hostsOf = (container: JsonObject): readonly string[] =>
    HANDLERS.map(path => textAt(container, path)).filter(host => host !== '')
  const names = sortedOnce(namesWhere(pod, container => hostsOf(container).length > 0))
  if (names.length === 0) return undefined
  const hosts = sortedOnce(pod.containers.flatMap(hostsOf))
  return {
    reason: 'probe or lifecycle host',
    detail: `${usersText('container', names)} ${counted('probe or lifecycle host', hosts)} ${quoted(hosts)}`,
  }
}

const privileged: Check = pod => {
  const names = namesWhere(
    pod,
    container => valueAt(container, 'securityContext.privileged') === true,
  )
  if (names.length === 0) return undefined
  return {
    reason: 'privileged',
    detail: `${containersText(names)} must not set securityContext.privileged=true`,
  }
}

/** The ways to mount /proc that hide less than usual; restricted-checks.ts has it too. */
export const procMount: Check = pod => {
  const mountOf = (container: JsonObject): string =>
    textAt(container, 'securityContext.procMount') || 'Default'
  const names = namesWhere(pod, container => mountOf(container) !== 'Default')
  if (names.length === 0) return undefined
  const mounts = sortedOnce(pod.containers.map(mountOf).filter(mount => mount !== 'Default'))
  return {
    reason: 'procMount',
    detail: `${containersText(names)} must not set securityContext.procMount to ${quoted(mounts)}`,
  }
}

const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t']

const seLinuxOptions =
  (types: readonly string[]): Check =>
  pod => {
    const at = (fields: JsonObject, field: string): string =>
      textAt(fields, `seLinuxOptions.${field}`)
    const hasType = (fields: JsonObject): boolean => !types.includes(at(fields, 'type'))
    const has = (field: string) => (fields: JsonObject) => at(fields, field) !== ''
    const contexts = contextsOf(pod).filter(({ fields }) =>
      [hasType, has('user'), has('role')].some(isSet => isSet(fields)),
    )
    if (contexts.length === 0) return undefined
    const found = contexts.map(({ fields }) => fields)
    const bad = sortedOnce(found.filter(hasType).map(fields => at(fields, 'type')))
    const told = [
      ...(bad.length > 0 ? [`${counted('type', bad)} ${quoted(bad)}`] : []),
      ...['user', 'role']
        .filter(field => found.some(has(field)))
        .map(field => `${field} may not be set`),
    ]
    return {
      reason: 'seLinuxOptions',
      detail: `${settersIn(contexts).join(' and ')} set forbidden securityContext.seLinuxOptions: ${told.join('; ')}`,
    }
  }

const sysctlNames = (names: readonly string[], prefix = 'net.ipv4.'): readonly string[] =>
  names.map(name => prefix + name)
const SYSCTLS = [
  'kernel.shm_rmid_forced',
  ...sysctlNames(['ip_local_port_range', 'tcp_syncookies', 'ping_group_range']),
  ...sysctlNames(['ip_unprivileged_port_start']),
]
const SYSCTLS_27 = [...SYSCTLS, ...sysctlNames(['ip_local_reserved_ports'])]
const SYSCTLS_29 = [
  ...SYSCTLS_27,
  ...sysctlNames(['keepalive_time', 'fin_timeout', 'keepalive_intvl'], 'net.ipv4.tcp_'),
  ...sysctlNames(['keepalive_probes'], 'net.ipv4.tcp_'),
]
const SYSCTLS_32 = [...SYSCTLS_29, ...sysctlNames(['tcp_rmem', 'tcp_wmem'])]

const sysctls =
  (allowed: readonly string[]): Check =>
  ({ spec }: PodShape) => {
    const names = objectsAt(spec, 'securityContext.sysctls')
      .map(sysctl => textAt(sysctl, 'name'))
      .filter(name => !allowed.includes(name))
    if (names.length === 0) return undefined
    return { reason: 'forbidden sysctls', detail: names.join(', ') }
  }

const windowsHostProcess: Check = pod => {
  const contexts = contextsOf(pod).filter(
    ({ fields }) => valueAt(fields, 'windowsOptions.hostProcess') === true,
  )
  if (contexts.length === 0) return undefined
  return {
    reason: 'hostProcess',
    detail: `${settersIn(contexts).join(' and ')} must not set securityContext.windowsOptions.hostProcess=true`,
  }
}

export const BASELINE: readonly CheckRow[] = [
  { id: 'appArmorProfile', versions: [[0, appArmor]] },
  { id: 'capabilities_baseline', versions: [[0, capabilities]] },
  { id: 'hostNamespaces', versions: [[0, hostNamespaces]] },
  { id: 'hostPathVolumes', versions: [[0, hostPathVolumes]] },
  { id: 'hostPorts', versions: [[0, hostPorts]] },
  { id: 'hostProbesAndHostLifecycle', versions: [[34, hostsOfHandlers]] },
  { id: 'privileged', versions: [[0, privileged]] },
  {
    id: 'procMount',
    versions: [
      [0, procMount],
      [35, unless(hasOwnUsers, procMount)],
    ],
  },
  {
    id: 'seLinuxOptions',
    versions: [
      [0, seLinuxOptions(SELINUX_TYPES)],
      [31, seLinuxOptions([...SELINUX_TYPES, 'container_engine_t'])],
    ],
  },
  {
    id: 'seccompProfile_baseline',
    versions: [
      [0, seccompAnnotations],
      [19, seccompFields],
    ],
  },
  {
    id: 'sysctls',
    versions: [
      [0, sysctls(SYSCTLS)],
      [27, sysctls(SYSCTLS_27)],
      [29, sysctls(SYSCTLS_29)],
      [32, sysctls(SYSCTLS_32)],
    ],
  },
  { id: 'windowsHostProcess', versions: [[0, windowsHostProcess]] },
]
