// Annotations that name seccomp and AppArmor profiles, from outside: what they become, and which are refused or warned of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'
import { objectAt, objectsAt, valueAt } from './reading.ts'

const { admin: client } = await serverForFile()

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/'
const SECCOMP = 'container.seccomp.security.alpha.kubernetes.io/'
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod'
const PODS = '/api/v1/namespaces/default/pods'
const CONTAINER = { name: 'c', image: 'i' }
const PLAIN = { containers: [CONTAINER] }
const withContext = (context: JsonObject, ofPod: JsonObject = {}): JsonObject => ({
  securityContext: ofPod,
  containers: [{ ...CONTAINER, securityContext: context }],
})

const podOf = (annotations: JsonObject, spec: JsonObject, name = 'p'): JsonObject => ({
  metadata: { name, annotations },
  spec,
})
const dryRun = (annotations: JsonObject, spec: JsonObject): Promise<ApiAnswer> =>
  client.send({ method: 'POST', path: `${PODS}?dryRun=All`, body: podOf(annotations, spec) })
const warningOf = ({ headers }: ApiAnswer): string => String(headers.warning ?? '')

const appArmorWarning = (name: string): string =>
  `299 - "metadata.annotations[${APPARMOR}${name}]: deprecated since v1.30; use the \\"appArmorProfile\\" field instead"`

const COPIED: readonly (readonly [annotation: string, profile: JsonObject | undefined])[] = [
  ['unconfined', { type: 'Unconfined' }],
  ['runtime/default', { type: 'RuntimeDefault' }],
  ['localhost/x/y', { type: 'Localhost', localhostProfile: 'x/y' }],
  ['localhost/', undefined],
  ['localhost/ x', undefined],
  ['', undefined],
]
for (const [annotation, profile] of COPIED) {
  test(`AppArmor annotation "${annotation}" becomes ${JSON.stringify(profile)}`, async () => {
    const answer = await dryRun({ [`${APPARMOR}c`]: annotation }, PLAIN)
    const [container] = objectsAt(answer.json(), 'spec.containers')
    assert.deepEqual(valueAt(container, 'securityContext.appArmorProfile'), profile)
    assert.equal(warningOf(answer), appArmorWarning('c'))
  })
}

test('no annotation is copied for Windows, nor one that says what the pod says', async () => {
  const annotations = { [`${APPARMOR}c`]: 'runtime/default' }
  const same = { ...PLAIN, securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }
  for (const spec of [{ ...PLAIN, os: { name: 'windows' } }, same]) {
    const answer = await dryRun(annotations, spec)
    const [container] = objectsAt(answer.json(), 'spec.containers')
    assert.deepEqual([answer.status, container?.securityContext], [201, undefined])
    assert.equal(warningOf(answer), '')
  }
})

const PROFILE = 'spec.containers[0].securityContext'
const REFUSED: readonly (readonly [annotations: JsonObject, spec: JsonObject, why: string])[] = [
  [
    { [`${APPARMOR}c`]: 'odd' },
    PLAIN,
    `metadata.annotations[${APPARMOR}c]: Invalid value: "odd": invalid AppArmor profile name: "odd"`,
  ],
  [
    { [`${APPARMOR}d`]: 'unconfined' },
    PLAIN,
    `metadata.annotations[${APPARMOR}d]: Invalid value: "d": container not found`,
  ],
  [
    { [SECCOMP_POD]: 'odd' },
    PLAIN,
    `metadata.annotations.${SECCOMP_POD}: Invalid value: "odd": must be a valid seccomp profile`,
  ],
  [
    { [`${SECCOMP}c`]: 'localhost/../x' },
    PLAIN,
    `metadata.annotations.${SECCOMP}c: Invalid value: "../x": must not contain '..'`,
  ],
  [
    { [SECCOMP_POD]: 'localhost//x' },
    PLAIN,
    `metadata.annotations.${SECCOMP_POD}: Invalid value: "/x": must be a relative path`,
  ],
  [
    { [`${APPARMOR}c`]: 'localhost/x' },
    withContext({ appArmorProfile: { type: 'Localhost', localhostProfile: 'y' } }),
    `${PROFILE}.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match`,
  ],
  [
    { [`${APPARMOR}c`]: '' },
    withContext({}, { appArmorProfile: { type: 'RuntimeDefault' } }),
    `${PROFILE}.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match`,
  ],
  [
    { [`${SECCOMP}c`]: 'docker/default' },
    withContext({ seccompProfile: { type: 'Unconfined' } }),
    `${PROFILE}.seccompProfile.type: Forbidden: seccomp type in annotation and field must match`,
  ],
  [
    { [SECCOMP_POD]: 'unconfined' },
    withContext({}, { seccompProfile: { type: 'RuntimeDefault' } }),
    'spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
  ],
]
for (const [annotations, spec, why] of REFUSED) {
  test(`a pod is refused: ${why}`, async () => {
    assert.equal((await dryRun(annotations, spec)).json().message, `Pod "p" is invalid: ${why}`)
  })
}

test('annotations that agree with the fields are taken, and not warned of', async () => {
  const agreed = { type: 'Localhost', localhostProfile: 'x' }
  const answer = await dryRun(
    {
      [`${APPARMOR}c`]: 'localhost/x',
      [`${SECCOMP}c`]: 'docker/default',
      [SECCOMP_POD]: 'localhost/x',
    },
    withContext(
      { appArmorProfile: agreed, seccompProfile: { type: 'RuntimeDefault' } },
      { seccompProfile: agreed },
    ),
  )
  assert.deepEqual([answer.status, warningOf(answer)], [201, ''])
})

test('AppArmor annotations of a pod stay what they were', async () => {
  const annotations = { [`${APPARMOR}c`]: 'runtime/default' }
  const spec = { containers: [CONTAINER, { ...CONTAINER, name: 'd' }] }
  await client.send({ method: 'POST', path: PODS, body: podOf(annotations, spec, 'kept') })
  const annotate = async (changes: JsonObject): Promise<string> => {
    const answer = await client.send({
      method: 'PATCH',
      path: `${PODS}/kept`,
      body: { metadata: { annotations: changes } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    return String(answer.json().message ?? warningOf(answer))
  }
  const refused = (name: string, what: string): string =>
    `Pod "kept" is invalid: metadata.annotations[${APPARMOR}${name}]: Forbidden: may not ${what} AppArmor annotations`
  assert.equal(await annotate({ [`${APPARMOR}c`]: 'unconfined' }), refused('c', 'remove or update'))
  assert.equal(await annotate({ [`${APPARMOR}c`]: null }), refused('c', 'remove or update'))
  assert.equal(await annotate({ [`${APPARMOR}d`]: 'unconfined' }), refused('d', 'add'))
  // Nor is anybody warned of annotations when a pod changes.
  assert.equal(await annotate({ [SECCOMP_POD]: 'unconfined' }), '')
})

test('templates are checked and warned of by their own path, and nothing is copied', async () => {
  const template = (annotations: JsonObject): JsonObject => ({
    metadata: { name: 'w' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' }, annotations }, spec: PLAIN },
    },
  })
  const send = (annotations: JsonObject): Promise<ApiAnswer> =>
    client.send({
      method: 'POST',
      path: '/apis/apps/v1/namespaces/default/deployments?dryRun=All',
      body: template(annotations),
    })
  const warned = await send({ [`${APPARMOR}c`]: 'unconfined', [SECCOMP_POD]: 'unconfined' })
  const prefix = '299 - "spec.template.metadata.annotations'
  assert.equal(
    warningOf(warned),
    [
      `${prefix}[${SECCOMP_POD}]: non-functional in v1.27+; use the \\"seccompProfile\\" field instead"`,
      `${prefix}[${APPARMOR}c]: deprecated since v1.30; use the \\"appArmorProfile\\" field instead"`,
    ].join(', '),
  )
  const [container] = objectsAt(warned.json(), 'spec.template.spec.containers')
  assert.deepEqual(objectAt(container, 'securityContext'), {})
  assert.equal(
    (await send({ [`${SECCOMP}c`]: 'odd' })).json().message,
    `Deployment.apps "w" is invalid: spec.template.annotations.${SECCOMP}c: Invalid value: "odd": must be a valid seccomp profile`,
  )
})

test('volumes that no longer work are warned of', async () => {
  const volumes = [{ name: 'v', storageos: { volumeName: 'x' } }]
  assert.equal(
    warningOf(await dryRun({}, { ...PLAIN, volumes })),
    '299 - "spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+"',
  )
})
