// createBundle() for groups with everything and with nothing; test/conformance/vm compares it with the real istioctl.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeObject, StatusError } from '@podless/apimachinery'
import { type BundleInputs, createBundle } from './bundle.ts'
import { canonicalProxyConfig } from './proxy-config.ts'

function inputs(spec: KubeObject['spec'], more: Partial<BundleInputs> = {}): BundleInputs {
  return {
    group: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadGroup',
      metadata: { name: 'app', namespace: 'vm' },
      ...(spec === undefined ? {} : { spec }),
    },
    mesh: 'defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\ntrustDomain: td\n',
    rootCert: 'ROOT\n',
    clusterId: 'Kubernetes',
    revision: 'default',
    istioNamespace: 'istio-system',
    ...more,
  }
}

const environment = (text: string): ReadonlyMap<string, string> =>
  new Map(text.split('\n').map(line => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]))

test('createBundle() writes the environment of a group with ports and labels', () => {
  const bundle = createBundle(
    inputs({
      metadata: { labels: { app: 'shop', version: 'v2' } },
      template: { serviceAccount: 'sa', network: 'n1', ports: { web: 80, admin: 90 } },
    }),
  )
  const env = environment(bundle['cluster.env'])
  assert.equal(env.get('CANONICAL_SERVICE'), "'shop'")
  assert.equal(env.get('CANONICAL_REVISION'), "'v2'")
  assert.equal(env.get('ISTIO_INBOUND_PORTS'), "'90,80'")
  assert.equal(
    env.get('ISTIO_META_POD_PORTS'),
    '\'[{"name":"admin","containerPort":90,"protocol":""},{"name":"web","containerPort":80,"protocol":""}]\'',
  )
  assert.equal(env.get('ISTIO_META_NETWORK'), "'n1'")
  assert.equal(env.get('SERVICE_ACCOUNT'), "'sa'")
  assert.equal(env.get('TRUST_DOMAIN'), "'td'")
  assert.equal(env.has('ISTIO_SVC_IP'), false)
  assert.equal(bundle.hosts, '')
  assert.equal(bundle['root-cert.pem'], 'ROOT\n')
})

test('createBundle() takes a group with nothing in it', () => {
  const env = environment(createBundle(inputs({}))['cluster.env'])
  assert.equal(env.get('ISTIO_INBOUND_PORTS'), "'*'")
  assert.equal(env.get('CANONICAL_SERVICE'), "'app'")
  assert.equal(env.get('SERVICE_ACCOUNT'), "'default'")
  assert.equal(env.has('ISTIO_META_POD_PORTS'), false)
})

test('createBundle() names the istiod of the revision, and its address', () => {
  const bundle = createBundle(
    inputs({}, { revision: 'canary', istiodAddress: '10.0.0.9', address: '10.1.2.3', mesh: '' }),
  )
  const env = environment(bundle['cluster.env'])
  assert.equal(bundle.hosts, '10.0.0.9 istiod-canary.istio-system.svc\n')
  assert.equal(env.get('CA_ADDR'), "'istiod-canary.istio-system.svc:15012'")
  assert.equal(env.get('ISTIO_SVC_IP'), "'10.1.2.3'")
  assert.match(bundle['mesh.yaml'], /discoveryAddress: istiod-canary\.istio-system\.svc:15012/)
})

test('createBundle() lets the proxy.istio.io/config of a group win over the mesh', () => {
  const bundle = createBundle(
    inputs({
      metadata: {
        annotations: {
          'proxy.istio.io/config': 'statusPort: 9000\nproxyMetadata: {OWN: "1"}\nconcurrency: 2\n',
        },
      },
    }),
  )
  const env = environment(bundle['cluster.env'])
  assert.equal(env.get('OWN'), "'1'")
  assert.equal(env.get('ISTIO_LOCAL_EXCLUDE_PORTS'), "'22,15090,15021,9000'")
  assert.match(bundle['mesh.yaml'], /^ {2}concurrency: 2$/m)
})

test('createBundle() quotes values so that a shell reads them back', () => {
  const labels = { app: `it's $(reboot) \`x\`` }
  const env = environment(createBundle(inputs({ metadata: { labels } }))['cluster.env'])
  assert.equal(env.get('CANONICAL_SERVICE'), `'it'"'"'s $(reboot) \`x\`'`)
})

test('createBundle() refuses a metadata key that could hold a command', () => {
  const mesh = 'defaultConfig: {proxyMetadata: {"A;reboot;B": "1"}}\n'
  assert.throws(() => createBundle(inputs({}, { mesh })), StatusError)
})

test('canonicalProxyConfig() leaves defaults out and spells names and durations as Go does', () => {
  assert.deepEqual(
    canonicalProxyConfig({
      drain_duration: '5s',
      terminationDrainDuration: '1.5s',
      statusPort: 0,
      interceptionMode: 'REDIRECT',
      concurrency: 0,
      meshId: '',
      proxyMetadata: { a_b: 'kept' },
      readinessProbe: { initialDelaySeconds: 0, tcpSocket: { port: 80 } },
    }),
    {
      drainDuration: '5s',
      terminationDrainDuration: '1.500s',
      concurrency: 0,
      proxyMetadata: { a_b: 'kept' },
      readinessProbe: { tcpSocket: { port: 80 } },
    },
  )
})
