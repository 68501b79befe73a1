// What people do with kubectl to Istio's kinds, on the CRDs as Istio ships them. Skips when there is no kubectl, or when
// the CRDs do not lie beside the repository in ../shared/data.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startServer, type TestServer } from '../../harness/server.ts'
import { Kubectl, noKubectl } from './kubectl.ts'

const CRDS = join(import.meta.dirname, '../../../../shared/data/istio/crds.yaml')
const skip = noKubectl || (existsSync(CRDS) ? false : 'there are no CRDs in ../shared/data/istio')

const virtualService = (host: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: route, labels: {app: web}}
spec:
  hosts: [web.example.com]
  gateways: [door]
  http:
  - route: [{destination: {host: ${host}, port: {number: 80}}, weight: 100}]
`
const WORKLOAD = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.0.0.1, labels: {app: web}}
`

describe("kubectl on Istio's kinds", { skip }, () => {
  let server: TestServer
  let kubectl: Kubectl

  before(async () => {
    server = await startServer()
    const all = new Kubectl({ kubeconfig: server.kubeconfig, home: server.directory })
    await all.run(`apply --server-side -f ${CRDS}`)
    await all.run('wait --for=condition=Established crd --all --timeout=120s')
    await all.run('create namespace mesh')
    kubectl = all.in('mesh')
  })
  after(async () => await server.close())

  it('applies, prints, describes and explains', async () => {
    const stdin = `${virtualService('web')}---${WORKLOAD}`
    assert.equal(
      await kubectl.run('apply -f -', [], { stdin }),
      'virtualservice.networking.istio.io/route created\nworkloadentry.networking.istio.io/vm created\n',
    )
    assert.match(await kubectl.run('apply -f -', [], { stdin }), /route unchanged/)
    assert.match(
      await kubectl.run('get vs'),
      /^NAME +GATEWAYS +HOSTS +AGE\nroute +\["door"\] +\["web.example.com"\]/,
    )
    assert.match(await kubectl.run('get we'), /^NAME +AGE +ADDRESS\nvm .* 10\.0\.0\.1$/m)
    assert.match(await kubectl.run('get istio-io'), /virtualservice.*route[\s\S]*workloadentry.*vm/)
    assert.match(await kubectl.run('describe vs route'), /Kind: +VirtualService[\s\S]*Host: +web/)
    assert.match(await kubectl.run('explain vs.spec.http'), /corsPolicy\t<Object>/)
    assert.match(
      await kubectl.run('api-resources --api-group=networking.istio.io'),
      /^virtualserv/m,
    )
    const older = 'get virtualservices.v1alpha3.networking.istio.io route'
    assert.match(
      await kubectl.run(`${older} -o yaml`),
      /^apiVersion: networking.istio.io\/v1alpha3/,
    )
  })

  it('changes by apply, diff, patch and edit', async () => {
    const stdin = virtualService('other')
    await kubectl.run('apply -f -', [], { stdin: virtualService('web') })
    const diff = await kubectl.try('diff -f -', [], { stdin, mayFail: true })
    assert.match(diff.stdout, /^- +host: web$/m)
    assert.match(diff.stdout, /^\+ +host: other$/m)
    assert.match(await kubectl.run('apply -f -', [], { stdin }), /route configured\n/)
    assert.match(
      await kubectl.run('apply --server-side -f -', [], { stdin }),
      /route serverside-applied\n/,
    )
    const hosts = JSON.stringify({ spec: { hosts: ['two.example.com'] } })
    await kubectl.run('patch vs route --type=merge -p', [hosts])
    const operation = JSON.stringify([{ op: 'add', path: '/spec/hosts/-', value: 'x.example.com' }])
    await kubectl.run('patch vs route --type=json -p', [operation])
    assert.match(
      await kubectl.refused('patch vs route --type=strategic -p', [hosts]),
      /strategic-merge-patch\+json is not supported/,
    )
    const editor = join(server.directory, 'editor')
    await writeFile(editor, '#!/bin/sh\nsed -i s/two.example.com/three.example.com/ "$1"\n', {
      mode: 0o700,
    })
    await kubectl.run('edit vs route', [], { env: { EDITOR: editor } })
    assert.equal(
      await kubectl.run('get vs route -o jsonpath={.spec.hosts}'),
      '["three.example.com","x.example.com"]',
    )
    assert.match(await kubectl.run('label vs route a=b'), /labeled/)
  })

  it('refuses what the schema does', async () => {
    const stdin = virtualService('web').replace('weight: 100', 'weight: 100, nope: 1')
    assert.match(
      await kubectl.refused('create -f -', [], { stdin }),
      /unknown field "spec.http\[0\].route\[0\].nope"/,
    )
    const wrong = { stdin: virtualService('web').replace('[web.example.com]', 'web.example.com') }
    assert.match(
      await kubectl.refused('create --validate=false -f -', [], wrong),
      /spec.hosts in body must be of type array/,
    )
    const warned = await kubectl.try('create --validate=warn -f -', [], {
      stdin: stdin.replace('name: route', 'name: warned'),
    })
    assert.match(warned.stderr, /Warning: unknown field "spec.http\[0\].route\[0\].nope"/)
  })

  it('deletes instances, and a definition with what is left', async () => {
    await kubectl.run('apply -f -', [], { stdin: `${virtualService('web')}---${WORKLOAD}` })
    assert.match(await kubectl.run('delete vs --all'), /"route" deleted/)
    assert.match((await kubectl.try('get vs')).stderr, /No resources found in mesh namespace/)
    await kubectl.run('delete crd workloadentries.networking.istio.io')
    assert.match(await kubectl.refused('get we'), /the server (could not find|doesn't have)/)
  })
})
