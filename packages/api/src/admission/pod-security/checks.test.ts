// Every check from outside: which pods a level lets in, as of which version, and in whose words it refuses the others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../../test/harness/server-for-file.ts'

const { admin: client } = await serverForFile()

/** All that level restricted asks of a container. */
const SAFE = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}
/** A container named c that is safe but for what is given. */
const safe = (context: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  name: 'c',
  image: 'i',
  securityContext: { ...SAFE, ...context },
  ...more,
})
const bare = (name = 'c'): JsonObject => ({ name, image: 'i' })
const onlyContext = (context: JsonObject): JsonObject => ({ ...bare(), securityContext: context })
/** A pod of one safe container, with these fields of its own. */
const podWith = (spec: JsonObject): JsonObject => ({ containers: [safe()], ...spec })
const podContext = (securityContext: JsonObject, ...containers: JsonObject[]): JsonObject => ({
  securityContext,
  containers: containers.length > 0 ? containers : [safe()],
})
const pod = (...containers: JsonObject[]): JsonObject => ({ containers })
const sysctls = (...names: string[]): JsonObject =>
  podContext({ sysctls: names.map(name => ({ name, value: '1' })) })
const volumes = (...sources: JsonObject[]): JsonObject =>
  podWith({ volumes: sources.map((source, index) => ({ name: `v${index}`, ...source })) })

async function namespaceAt(standard: string): Promise<string> {
  const [level = '', version = ''] = standard.split(':')
  const name = `${level}-${version.replaceAll('.', '-')}`
  const prefix = 'pod-security.kubernetes.io/enforce'
  const labels = { [prefix]: level, [`${prefix}-version`]: version }
  const body = { metadata: { name, labels } }
  await client.send({ method: 'POST', path: '/api/v1/namespaces', body })
  return name
}

async function refusalOf(
  standard: string,
  spec: JsonObject,
  annotations: JsonObject = {},
): Promise<string | undefined> {
  const namespace = await namespaceAt(standard)
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`
  const body = { metadata: { name: 'p', annotations }, spec }
  const answer = await client.send({ method: 'POST', path, body })
  if (answer.status === 201) return undefined
  const { message, reason, details } = answer.json()
  assert.deepEqual(
    { status: answer.status, reason, details },
    { status: 403, reason: 'Forbidden', details: { name: 'p', kind: 'pods' } },
  )
  const head = `pods "p" is forbidden: violates PodSecurity "${standard}": `
  assert.ok(String(message).startsWith(head), String(message))
  return String(message).slice(head.length)
}

type Row = readonly [standard: string, spec: JsonObject, refusal: string | undefined]

const NO_ESCALATION =
  'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)'
const NO_DROP =
  'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])'
const NO_USER =
  'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'
const NO_SECCOMP =
  'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
const BASE = 'baseline:latest'
const STRICT = 'restricted:latest'
const PROBED = pod(safe({}, { livenessProbe: { httpGet: { port: 80, host: 'h' } } }))
const UNMASKED = podWith({ hostUsers: false, containers: [safe({ procMount: 'Unmasked' })] })
const UNMASKED_TEXT =
  'procMount (container "c" must not set securityContext.procMount to "Unmasked")'
const ROOT = { runAsNonRoot: false, runAsUser: 0 }
const ROOT_TEXT =
  'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)'

const GENERAL: readonly Row[] = [
  [BASE, pod(bare()), undefined],
  [STRICT, pod(safe()), undefined],
  ['privileged:v1.20', podWith({ hostPID: true }), undefined],
  [STRICT, pod(bare()), [NO_ESCALATION, NO_DROP, NO_USER, NO_SECCOMP].join(', ')],
  ['restricted:v1.24', pod(bare()), [NO_ESCALATION, NO_DROP, NO_USER, NO_SECCOMP].join(', ')],
  ['restricted:v1.21', pod(bare()), [NO_ESCALATION, NO_USER, NO_SECCOMP].join(', ')],
  ['restricted:v1.18', pod(bare()), [NO_ESCALATION, NO_USER].join(', ')],
  ['restricted:v1.7', pod(bare()), NO_USER],
  ['restricted:v1.99', pod(bare()), [NO_ESCALATION, NO_DROP, NO_USER, NO_SECCOMP].join(', ')],
  [
    STRICT,
    podWith({
      initContainers: [{ ...safe({ allowPrivilegeEscalation: true }), name: 'a' }],
      containers: [safe({ allowPrivilegeEscalation: true })],
    }),
    'allowPrivilegeEscalation != false (containers "a", "c" must set securityContext.allowPrivilegeEscalation=false)',
  ],
]

const WINDOWS = { os: { name: 'windows' }, containers: [bare()] }
const FOR_WINDOWS: readonly Row[] = [
  [STRICT, WINDOWS, NO_USER],
  ['restricted:v1.25', WINDOWS, NO_USER],
  ['restricted:v1.24', WINDOWS, [NO_ESCALATION, NO_DROP, NO_USER, NO_SECCOMP].join(', ')],
  [STRICT, { ...WINDOWS, securityContext: { runAsNonRoot: true } }, undefined],
  [
    BASE,
    {
      hostNetwork: true,
      ...podContext(
        { windowsOptions: { hostProcess: true } },
        onlyContext({ windowsOptions: { hostProcess: true } }),
      ),
    },
    'host namespaces (hostNetwork=true), hostProcess (pod and container "c" must not set securityContext.windowsOptions.hostProcess=true)',
  ],
]

const HOST: readonly Row[] = [
  [
    BASE,
    podWith({ hostIPC: true, hostPID: true, hostNetwork: true }),
    'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
  ],
  [BASE, podWith({ hostIPC: false }), undefined],
  [
    BASE,
    pod(onlyContext({ privileged: true })),
    'privileged (container "c" must not set securityContext.privileged=true)',
  ],
  [BASE, pod(onlyContext({ privileged: false })), undefined],
  [
    BASE,
    pod(
      safe(
        {},
        {
          ports: [
            { containerPort: 1, hostPort: 8080 },
            { containerPort: 2, hostPort: 900 },
          ],
        },
      ),
    ),
    'hostPort (container "c" uses hostPorts 8080, 900)',
  ],
  [
    BASE,
    pod(
      safe({}, { ports: [{ containerPort: 1, hostPort: 80 }] }),
      safe({}, { name: 'd', ports: [{ containerPort: 1, hostPort: 80, hostIP: '127.0.0.1' }] }),
    ),
    'hostPort (containers "c", "d" use hostPort 80)',
  ],
  [BASE, pod(safe({}, { ports: [{ containerPort: 1, hostPort: 0 }] })), undefined],
  ['baseline:v1.33', PROBED, undefined],
  [
    'baseline:v1.34',
    PROBED,
    'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
  ],
  [
    STRICT,
    pod(
      safe(
        {},
        {
          name: 'z',
          readinessProbe: { tcpSocket: { port: 80, host: 'h' } },
          startupProbe: { httpGet: { port: 80, host: 'g' } },
        },
      ),
      safe({}, { lifecycle: { preStop: { httpGet: { port: 80, host: 'h' } } } }),
    ),
    'probe or lifecycle host (containers "c", "z" use probe or lifecycle hosts "g", "h")',
  ],
  [BASE, pod(safe({}, { livenessProbe: { httpGet: { port: 80 } } })), undefined],
]

const CAPABILITIES: readonly Row[] = [
  [BASE, pod(onlyContext({ capabilities: { add: ['CHOWN', 'MKNOD'] } })), undefined],
  [
    BASE,
    pod(onlyContext({ capabilities: { add: ['SYS_ADMIN', 'NET_RAW', 'CHOWN'] } })),
    'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)',
  ],
  [STRICT, pod(safe({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } })), undefined],
  [
    STRICT,
    pod(safe({ capabilities: { drop: ['all'], add: ['CHOWN'] } })),
    `${NO_DROP.slice(0, -1)}; container "c" must not include "CHOWN" in securityContext.capabilities.add)`,
  ],
  [
    'restricted:v1.21',
    pod(safe({ capabilities: { add: ['NET_RAW'] } })),
    'non-default capabilities (container "c" must not include "NET_RAW" in securityContext.capabilities.add)',
  ],
]

const USERS: readonly Row[] = [
  [
    STRICT,
    podContext({ runAsUser: 0 }, safe({ runAsUser: 0 })),
    'runAsUser=0 (pod and container "c" must not set runAsUser=0)',
  ],
  ['restricted:v1.22', podContext({ runAsUser: 0 }), undefined],
  ['restricted:v1.23', podContext({ runAsUser: 0 }), 'runAsUser=0 (pod must not set runAsUser=0)'],
  [STRICT, podContext({ runAsUser: 1 }), undefined],
  [
    STRICT,
    podContext({ runAsNonRoot: false }, safe({ runAsNonRoot: false })),
    'runAsNonRoot != true (pod and container "c" must not set securityContext.runAsNonRoot=false)',
  ],
  [STRICT, podContext({ runAsNonRoot: true }, safe({ runAsNonRoot: null })), undefined],
  [
    STRICT,
    podContext({ runAsNonRoot: true }, safe(ROOT)),
    `${ROOT_TEXT}, runAsUser=0 (container "c" must not set runAsUser=0)`,
  ],
  [STRICT, podWith({ hostUsers: false, containers: [safe(ROOT)] }), undefined],
  [
    'restricted:v1.34',
    podWith({ hostUsers: false, containers: [safe({ runAsNonRoot: false })] }),
    ROOT_TEXT,
  ],
  [STRICT, podWith({ hostUsers: true, containers: [safe({ runAsNonRoot: false })] }), ROOT_TEXT],
  [BASE, UNMASKED, undefined],
  ['baseline:v1.34', UNMASKED, UNMASKED_TEXT],
  [STRICT, UNMASKED, UNMASKED_TEXT],
  ['restricted:v1.34', UNMASKED, UNMASKED_TEXT],
  [BASE, pod(safe({ procMount: 'Default' })), undefined],
]

const PROFILES: readonly Row[] = [
  [
    BASE,
    podContext(
      { seccompProfile: { type: 'Unconfined' } },
      safe({ seccompProfile: { type: 'Unconfined' } }),
    ),
    'seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  ['baseline:v1.18', podContext({ seccompProfile: { type: 'Unconfined' } }), undefined],
  [
    STRICT,
    podContext(
      { seccompProfile: { type: 'Localhost', localhostProfile: 'x' } },
      safe({ seccompProfile: null }),
    ),
    undefined,
  ],
  [
    STRICT,
    podContext(
      {},
      safe({ seccompProfile: { type: 'Unconfined' } }),
      safe({ seccompProfile: null }, { name: 'd' }),
    ),
    'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [STRICT, pod(safe({ seccompProfile: null }), safe({}, { name: 'd' })), NO_SECCOMP],
  [
    BASE,
    podContext(
      { appArmorProfile: { type: 'Unconfined' } },
      safe({ appArmorProfile: { type: 'Unconfined' } }),
      safe({ appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } }, { name: 'd' }),
    ),
    'forbidden AppArmor profile (pod and container "c" must not set AppArmor profile type to "Unconfined")',
  ],
  [BASE, podContext({ appArmorProfile: { type: 'RuntimeDefault' } }), undefined],
  [
    BASE,
    podContext(
      { seLinuxOptions: { type: 'spc_t', user: 'u' } },
      safe({ seLinuxOptions: { type: 'bar', role: 'r' } }),
    ),
    'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: types "bar", "spc_t"; user may not be set; role may not be set)',
  ],
  [BASE, podContext({ seLinuxOptions: { type: 'container_engine_t', level: 's0' } }), undefined],
  [
    'baseline:v1.30',
    podContext({ seLinuxOptions: { type: 'container_engine_t' } }),
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
  ],
]

const IPV4 = 'net.ipv4.'
const NEW_SYSCTLS = [
  `${IPV4}ip_local_reserved_ports`,
  `${IPV4}tcp_keepalive_time`,
  `${IPV4}tcp_wmem`,
] as const
const HOST_PATH = { hostPath: { path: '/' } }
const SYSCTLS_AND_VOLUMES: readonly Row[] = [
  [BASE, sysctls('kernel.shm_rmid_forced', `${IPV4}tcp_syncookies`, ...NEW_SYSCTLS), undefined],
  [BASE, sysctls('kernel.msgmax', 'a.b'), 'forbidden sysctls (kernel.msgmax, a.b)'],
  ['baseline:v1.31', sysctls(...NEW_SYSCTLS), `forbidden sysctls (${NEW_SYSCTLS[2]})`],
  [
    'baseline:v1.28',
    sysctls(...NEW_SYSCTLS),
    `forbidden sysctls (${NEW_SYSCTLS[1]}, ${NEW_SYSCTLS[2]})`,
  ],
  ['baseline:v1.26', sysctls(...NEW_SYSCTLS), `forbidden sysctls (${NEW_SYSCTLS.join(', ')})`],
  [BASE, volumes(HOST_PATH, HOST_PATH), 'hostPath volumes (volumes "v0", "v1")'],
  [
    'restricted:v1.0',
    volumes(HOST_PATH),
    'restricted volume types (volume "v0" uses restricted volume type "hostPath")',
  ],
  [
    STRICT,
    volumes(HOST_PATH, { nfs: { server: 's', path: '/' } }, { emptyDir: {} }, HOST_PATH),
    'restricted volume types (volumes "v0", "v1", "v3" use restricted volume types "hostPath", "nfs")',
  ],
  [
    STRICT,
    volumes(
      { configMap: { name: 'x' } },
      { csi: { driver: 'x' } },
      { downwardAPI: {} },
      { image: { reference: 'x' } },
      { persistentVolumeClaim: { claimName: 'x' } },
      { projected: { sources: [] } },
      { secret: { secretName: 'x' } },
      {},
    ),
    undefined,
  ],
]

const ROWS = [GENERAL, FOR_WINDOWS, HOST, CAPABILITIES, USERS, PROFILES, SYSCTLS_AND_VOLUMES].flat()
for (const [standard, spec, refusal] of ROWS) {
  const verdict = refusal === undefined ? 'takes' : 'refuses'
  test(`${standard} ${verdict} ${JSON.stringify(spec)}`, async () => {
    assert.equal(await refusalOf(standard, spec), refusal)
  })
}

test('until 1.19 seccomp profiles are what annotations say, afterwards they say nothing', async () => {
  const annotations = {
    'seccomp.security.alpha.kubernetes.io/pod': 'unconfined',
    'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined',
    'container.seccomp.security.alpha.kubernetes.io/other': 'unconfined',
  }
  assert.equal(
    await refusalOf('restricted:v1.18', pod(safe({ seccompProfile: null })), annotations),
    'seccompProfile (forbidden annotations container.seccomp.security.alpha.kubernetes.io/c="unconfined", seccomp.security.alpha.kubernetes.io/pod="unconfined")',
  )
  assert.equal(await refusalOf('baseline:v1.19', pod(bare()), annotations), undefined)
  for (const fine of ['runtime/default', 'docker/default', 'localhost/x']) {
    const allowed = { 'seccomp.security.alpha.kubernetes.io/pod': fine }
    assert.equal(await refusalOf('baseline:v1.0', pod(bare()), allowed), undefined)
  }
})

test('an AppArmor annotation counts beside the field that it was copied to', async () => {
  const annotations = { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' }
  assert.equal(
    await refusalOf(BASE, pod(bare()), annotations),
    'forbidden AppArmor profiles (container "c" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/c="unconfined"")',
  )
})
