// The documents behind `kubectl explain` and client-side validation: all of them hang together, built-ins and CRDs are
// explained to the last field, and CRDs in their authors' words. Skips what needs kubectl or Istio's CRDs.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  isObject,
  type JsonObject,
  type JsonValue,
} from '../../../packages/apimachinery/src/index.ts'
import { ApiClient } from '../../harness/api-client.ts'
import { startServer, type TestServer } from '../../harness/server.ts'
import { Kubectl, noKubectl } from './kubectl.ts'

const CRDS = join(import.meta.dirname, '../../../../shared/data/istio/crds.yaml')
const skip = noKubectl || (existsSync(CRDS) ? false : 'there are no CRDs in ../shared/data/istio')

const BUILTINS = [
  'pods',
  'services',
  'deployments.apps',
  'endpointslices.discovery.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
  'validatingadmissionpolicies.admissionregistration.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
]

describe('OpenAPI and kubectl explain', { skip }, () => {
  let server: TestServer
  let client: ApiClient
  let kubectl: Kubectl

  before(async () => {
    server = await startServer()
    client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
    kubectl = new Kubectl({ kubeconfig: server.kubeconfig, home: server.directory })
    await kubectl.run(`apply --server-side -f ${CRDS}`)
    await kubectl.run('wait --for=condition=Established crd --all --timeout=120s')
  })
  after(async () => {
    client.close()
    await server.close()
  })

  const documents = async (): Promise<[string, string][]> => {
    const { paths } = (await client.send({ path: '/openapi/v3' })).json() as {
      paths: Record<string, { serverRelativeURL: string }>
    }
    return Object.entries(paths).map(([path, { serverRelativeURL }]) => [path, serverRelativeURL])
  }

  it('refers to nothing that is not there, in any document', async () => {
    for (const [path, url] of await documents()) {
      const answer = await client.send({ path: url })
      assert.equal(answer.status, 200, path)
      const dangling = danglingIn(answer.json(), '#/components/schemas/', ['components', 'schemas'])
      assert.deepEqual(dangling, [], path)
      const again = await client.send({
        path: url,
        headers: { 'if-none-match': String(answer.headers.etag) },
      })
      assert.equal(again.status, 304, path)
    }
    const v2 = (await client.send({ path: '/openapi/v2' })).json()
    assert.deepEqual(danglingIn(v2, '#/definitions/', ['definitions']), [])
  })

  it("changes a document's hash with the CRD's schema, and no other's", async () => {
    const before = new Map(await documents())
    await kubectl.run('patch crd telemetries.telemetry.istio.io --type=json -p', [
      '[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/description","value":"Seen."}]',
    ])
    const changed = async (): Promise<string[]> =>
      (await documents()).filter(([path, url]) => before.get(path) !== url).map(([path]) => path)
    while ((await changed()).length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    for (const path of await changed()) assert.match(path, /^apis\/telemetry\.istio\.io\//)
    assert.match(await kubectl.run('explain telemetries.telemetry.istio.io'), /Seen\./)
  })

  it('explains built-in and custom kinds to the last field', async () => {
    const custom = (await kubectl.run('get crd -o name'))
      .trim()
      .split('\n')
      .map(name => name.split('/')[1] ?? '')
    assert.equal(custom.length, 15)
    for (const name of [...BUILTINS, ...custom]) {
      const text = await kubectl.run(`explain ${name} --recursive`)
      assert.match(text, /^KIND: +[A-Z]/m, name)
      assert.match(
        text,
        /^ {2}metadata\t<ObjectMeta>\n {4}annotations\t<map\[string\]string>/m,
        name,
      )
    }
    const recursive = await kubectl.run('explain virtualservices.networking.istio.io --recursive')
    assert.match(recursive, /^ {8}allowCredentials\t<boolean>$/m)
  })

  it("shows a CRD author's words, types, enums and what is required", async () => {
    const route = await kubectl.run('explain vs.spec.http.route.destination')
    assert.match(route, /FIELD: destination <Object>/)
    assert.match(
      route,
      /DESCRIPTION:\n {4}Destination uniquely identifies the instances of a service/,
    )
    assert.match(route, /^ {2}host\t<string> -required-$/m)
    const mode = await kubectl.run('explain peerauthentication.spec.mtls.mode')
    assert.match(mode, /^ENUM:\n {4}UNSET\n {4}DISABLE\n {4}PERMISSIVE\n {4}STRICT$/m)
    const older = await kubectl.run('explain vs --api-version=networking.istio.io/v1alpha3')
    assert.match(older, /VERSION: +v1alpha3/)
  })
})

/** References that lead nowhere. */
function danglingIn(document: JsonObject, prefix: string, home: readonly string[]): string[] {
  let there: JsonValue | undefined = document
  for (const name of home) there = isObject(there) ? there[name] : undefined
  const known = new Set(isObject(there) ? Object.keys(there) : [])
  const dangling = new Set<string>()
  const visit = (value: JsonValue | undefined): void => {
    if (Array.isArray(value)) for (const item of value) visit(item)
    else if (isObject(value)) {
      const { $ref } = value
      if (typeof $ref === 'string' && $ref.startsWith('#') && !known.has($ref.slice(prefix.length)))
        dangling.add($ref)
      for (const item of Object.values(value)) visit(item)
    }
  }
  visit(document)
  return [...dangling]
}
