// What people do with kubectl to built-in kinds, from create to delete, with the answers that kube-apiserver gives.
// Skips when there is no kubectl. Each test has a namespace of its own on one server.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startServer, type TestServer } from '../../harness/server.ts'
import { Kubectl, noKubectl } from './kubectl.ts'

const CONFIG = (data: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {app: web}}\ndata: ${data}\n`

interface Listed {
  readonly items: readonly { readonly metadata: { readonly name: string } }[]
}

describe('kubectl on built-in kinds', { skip: noKubectl }, () => {
  let server: TestServer
  let kubectl: Kubectl

  const namespaced = async (name: string): Promise<Kubectl> => {
    await kubectl.run(`create namespace ${name}`)
    return kubectl.in(name)
  }

  before(async () => {
    server = await startServer()
    kubectl = new Kubectl({ kubeconfig: server.kubeconfig, home: server.directory })
  })
  after(async () => await server.close())

  it('creates every kind it has a generator for', async () => {
    const k = await namespaced('generators')
    const created = async (line: string, ...more: string[]): Promise<void> => {
      assert.match(await k.run(`create ${line}`, more), /created\n$/)
    }
    await created('configmap a --from-literal=x=y')
    await created('secret generic s --from-literal=p=w')
    await created('secret docker-registry d --docker-username=u --docker-password=p')
    await created('serviceaccount bot')
    await created('role r --verb=get,list --resource=pods,configmaps')
    await created('rolebinding rb --role=r --serviceaccount=generators:bot')
    await created('clusterrole cr --verb=get --resource=nodes')
    await created('clusterrolebinding crb --clusterrole=cr --user=jane')
    await created('deployment web --image=nginx --replicas=2 --port=80')
    await created('job once --image=busybox -- echo hi')
    await created('cronjob often --image=busybox', '--schedule=*/5 * * * *')
    await created('job made --from=cronjob/often')
    await created('ingress way --rule=host/path=web:80')
    await created('service clusterip inside --tcp=80:8080')
    await created('service nodeport outside --tcp=80')
    await created('service externalname other --external-name=x.example.com')
    await created('poddisruptionbudget pdb --selector=app=web --min-available=1')
    await created('priorityclass pc --value=5')
    await created('quota q --hard=pods=3')
    assert.equal(await k.run('expose deployment web --port=80'), 'service/web exposed\n')
    assert.equal(await k.run('run single --image=nginx'), 'pod/single created\n')
    assert.match(await k.run('autoscale deployment web --min=1 --max=3'), /web autoscaled\n$/)
    assert.match(await k.refused('create configmap a'), /configmaps "a" already exists/)
  })

  it('prints tables, wide tables, other formats and descriptions', async () => {
    const k = await namespaced('printing')
    await k.run('create deployment web --image=nginx --replicas=2')
    await k.run('create service clusterip web --tcp=80:8080')
    const [head = '', row = ''] = (await k.run('get deployments')).split('\n')
    assert.match(head, /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE$/)
    assert.match(row, /^web +0\/2 +0 +0 +/)
    assert.match(await k.run('get deployments -o wide'), /CONTAINERS +IMAGES +SELECTOR/)
    assert.match(await k.run('get services'), /web +ClusterIP +10\.[\d.]+ +<none> +80\/TCP/)
    assert.match(await k.run('get all'), /service\/web[\s\S]*deployment\.apps\/web/)
    assert.equal(await k.run('get deployment web -o name'), 'deployment.apps/web\n')
    assert.equal(await k.run('get deployment web -o jsonpath={.spec.replicas}'), '2')
    assert.match(await k.run('get deployment web -o yaml'), /^apiVersion: apps\/v1\nkind: Depl/)
    const list = await k.json<Listed>('get deployments')
    assert.deepEqual(
      list.items.map(({ metadata }) => metadata.name),
      ['web'],
    )
    assert.match(await k.run('describe deployment web'), /Replicas: +2 desired \| 0 updated/)
    assert.match(await k.run('describe service web'), /Session Affinity: +None/)
    assert.match(await k.run('get deployments -A --no-headers'), /^printing +web/m)
    assert.match(await k.run('get deployments --show-labels'), /app=web$/m)
    assert.match(await k.run('get deployments -l app=none', [], { mayFail: true }), /^$/)
    assert.match(await k.refused('get pods --field-selector foo=bar'), /field label not supported/)
    assert.match(await k.refused('get pods none'), /\(NotFound\): pods "none" not found/)
  })

  it('applies on the client side, diffs, edits and replaces', async () => {
    const k = await namespaced('applying')
    const apply = (data: string): Promise<string> =>
      k.run('apply -f -', [], { stdin: CONFIG(data) })
    assert.equal(await apply('{a: "1", b: "2"}'), 'configmap/settings created\n')
    assert.equal(await apply('{a: "1", b: "2"}'), 'configmap/settings unchanged\n')
    const diff = await k.try('diff -f -', [], { stdin: CONFIG('{b: "2"}'), mayFail: true })
    assert.equal(diff.code, 1)
    assert.match(diff.stdout, /^- {2}a: "1"$/m)
    assert.equal(await apply('{b: "2"}'), 'configmap/settings configured\n')
    assert.equal(await k.run('get configmap settings -o jsonpath={.data}'), '{"b":"2"}')
    const editor = join(server.directory, 'editor')
    await writeFile(editor, '#!/bin/sh\nsed -i \'s/b: "2"/b: "3"/\' "$1"\n', { mode: 0o700 })
    const edited = await k.run('edit configmap settings', [], { env: { EDITOR: editor } })
    assert.equal(edited, 'configmap/settings edited\n')
    assert.equal(await k.run('get configmap settings -o jsonpath={.data.b}'), '3')
    const sent = { stdin: CONFIG('{c: "4"}') }
    assert.equal(await k.run('replace -f -', [], sent), 'configmap/settings replaced\n')
    assert.equal(await k.run('get configmap settings -o jsonpath={.data}'), '{"c":"4"}')
    const invalid = { stdin: CONFIG('{c: 4}') }
    assert.match(await k.refused('replace -f -', [], invalid), /cannot unmarshal number/)
    const unknown = { stdin: `${CONFIG('{c: "4"}')}bogus: 1\n` }
    assert.match(await k.refused('replace -f -', [], unknown), /unknown field "bogus"/)
    const foreign = { stdin: `${CONFIG('{c: "4"}')}漢: 1\n` }
    const { stderr } = await k.try('replace --validate=warn -f -', [], foreign)
    assert.match(stderr, /^Warning: unknown field "漢"$/m)
  })

  it('applies on the server side, names who owns what, and forces', async () => {
    const k = await namespaced('owning')
    const apply = (manager: string, data: string): Parameters<Kubectl['run']> => [
      `apply --server-side --field-manager=${manager} -f -`,
      [],
      { stdin: CONFIG(data) },
    ]
    assert.equal(
      await k.run(...apply('one', '{a: "1"}')),
      'configmap/settings serverside-applied\n',
    )
    await k.run(...apply('two', '{b: "1"}'))
    const conflict = await k.refused(...apply('two', '{a: "2"}'))
    assert.match(conflict, /conflict with "one": \.data\.a/)
    const [line, more, options] = apply('two', '{a: "2"}')
    await k.run(`${line} --force-conflicts`, more, options)
    assert.equal(await k.run('get configmap settings -o jsonpath={.data}'), '{"a":"2"}')
    assert.match(
      await k.run('get configmap settings -o yaml --show-managed-fields'),
      /manager: two/,
    )
  })

  it('patches in three ways, labels, annotates, scales and sets', async () => {
    const k = await namespaced('patching')
    await k.run('create deployment web --image=nginx --replicas=2')
    const patch = (type: string, body: object, more = ''): Promise<string> =>
      k.run(`patch deployment web --type=${type}${more}`, ['-p', JSON.stringify(body)])
    const container = { name: 'nginx', image: 'nginx:2' }
    await patch('strategic', { spec: { template: { spec: { containers: [container] } } } })
    await patch('merge', { spec: { minReadySeconds: 7 } })
    await patch('json', [{ op: 'replace', path: '/spec/minReadySeconds', value: 8 }])
    await patch('merge', { spec: { replicas: 4 } }, ' --subresource=scale')
    const spec = '{.spec.replicas} {.spec.minReadySeconds} {..image}'
    assert.equal(await k.run('get deployment web', ['-o', `jsonpath=${spec}`]), '4 8 nginx:2')
    assert.equal(await patch('merge', {}), 'deployment.apps/web patched (no change)\n')
    assert.match(await k.run('scale deployment web --replicas=3'), /scaled\n$/)
    assert.match(await k.run('set image deployment/web nginx=nginx:3'), /image updated\n$/)
    assert.match(await k.run('set env deployment/web A=B'), /env updated\n$/)
    assert.match(await k.run('rollout restart deployment/web'), /restarted\n$/)
    assert.match(await k.run('get deployment web -o jsonpath={..image}'), /^nginx:3$/)
    assert.match(await k.run('label deployment web tier=front'), /labeled\n$/)
    assert.match(await k.run('label deployment web tier-'), /unlabeled\n$/)
    assert.match(await k.run('annotate deployment web note=1'), /annotated\n$/)
    assert.match(await k.refused('annotate deployment web note=2'), /--overwrite is false/)
  })

  it('deletes, waits, and follows owners', async () => {
    const k = await namespaced('deleting')
    await k.run('create configmap a --from-literal=x=y')
    assert.match(await k.run('delete configmap a --dry-run=server'), /\(server dry run\)\n$/)
    assert.equal(await k.run('delete configmap a'), 'configmap "a" deleted\n')
    assert.match(await k.refused('delete configmap a'), /configmaps "a" not found/)
    assert.equal(await k.run('delete configmap a --ignore-not-found'), '')
    await k.run('create deployment owner --image=nginx')
    const uid = await k.run('get deployment owner -o jsonpath={.metadata.uid}')
    const owner = `{apiVersion: apps/v1, kind: Deployment, name: owner, uid: ${uid}, blockOwnerDeletion: true}`
    const owned = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, ownerReferences: [${owner}]}\n`
    await k.run('create -f -', [], { stdin: owned })
    await k.run('delete deployment owner --cascade=foreground')
    assert.match(await k.refused('get configmap owned'), /not found/)
    await k.run('create configmap b')
    await k.run('wait --for=create configmap/b --timeout=120s')
    await k.run('wait --for=jsonpath={.metadata.name}=b configmap/b --timeout=120s')
    assert.match(await k.run('delete configmap --all'), /configmap "b" deleted\n/)
    await k.run('create configmap c')
    await kubectl.run('delete namespace deleting')
    assert.match(await kubectl.refused('get namespace deleting'), /namespaces "deleting" not found/)
  })

  it('watches tables', async () => {
    const k = await namespaced('watching')
    await k.run('create configmap first')
    let made: Promise<unknown> | undefined
    const printed = await k.watchUntil(
      'get configmaps --watch -o name',
      text => text.includes('configmap/second\n'),
      text => {
        if (text.includes('configmap/first\n')) made ??= k.run('create configmap second')
      },
    )
    await made
    assert.match(printed, /^configmap\/first$/m)
  })

  it('asks what is served, what it means and who may', async () => {
    const k = await namespaced('asking')
    assert.match(await k.run('version'), /Server Version: v1\.\d+/)
    assert.match(await k.run('cluster-info'), /control plane.* is running at .*https:\/\//)
    assert.match(await k.run('api-resources'), /^configmaps +cm +v1 +true +ConfigMap$/m)
    assert.match(await k.run('api-versions'), /^apps\/v1$/m)
    assert.match(await k.run('explain deployment.spec.strategy'), /rollingUpdate\t<RollingUpdate/)
    assert.match(await k.run('explain pod --recursive'), /^ {2}metadata\t<ObjectMeta>/m)
    assert.match(await k.refused('get nope'), /doesn't have a resource type "nope"/)
    await k.run('create serviceaccount bot')
    await k.run('create role reader --verb=get,list --resource=pods')
    await k.run('create rolebinding reads --role=reader --serviceaccount=asking:bot')
    const as = '--as=system:serviceaccount:asking:bot'
    assert.equal(await k.run(`auth can-i get pods ${as}`), 'yes\n')
    assert.equal((await k.try(`auth can-i create pods ${as}`, [], { mayFail: true })).code, 1)
    assert.match(await k.run(`auth can-i --list ${as}`), /^pods +\[\] +\[\] +\[get list\]$/m)
    assert.match(await k.refused(`get secrets ${as}`), /cannot list resource "secrets"/)
    assert.match(await k.run('auth whoami'), /Username +kubernetes-admin/)
    assert.match(await k.run('create token bot'), /^ey[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.equal(await k.run('get --raw /readyz'), 'ok')
  })

  it('holds namespaces to their quotas', async () => {
    const k = await namespaced('limited')
    await k.run('create quota q --hard=count/secrets=1')
    await k.run('wait --for=jsonpath={.status.used} resourcequota/q --timeout=120s')
    await k.run('create secret generic one')
    assert.match(await k.refused('create secret generic two'), /exceeded quota: q/)
    await k.run('delete secret one')
    await k.run('wait --for=jsonpath={.status.used.count/secrets}=0 resourcequota/q --timeout=120s')
    await k.run('create secret generic two')
  })

  it('says clearly what needs a node', async () => {
    const k = await namespaced('nodes')
    await k.run('run single --image=nginx')
    assert.match(await k.refused('logs single'), /pods\/log needs a kubelet/)
    assert.match(await k.refused('exec single -- ls'), /pods\/exec needs a kubelet/)
    assert.match(await k.refused('port-forward single 80'), /pod is not running/)
    assert.match(await k.refused('top pods'), /Metrics API not available/)
    assert.match((await k.try('get nodes')).stderr, /No resources found/)
  })
})
