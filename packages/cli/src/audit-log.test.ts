// --audit-policy: good policies are read, and bad ones are refused with the place and what may be there.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readPolicy } from './audit-log.ts'

const directory = await mkdtemp(join(tmpdir(), 'podless-policy-'))
after(() => rm(directory, { recursive: true, force: true }))

const HEAD = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n'

async function read(text: string): Promise<unknown> {
  const path = join(directory, 'policy.yaml')
  await writeFile(path, text)
  return await readPolicy(path)
}

test("a policy of upstream's documentation is read", async () => {
  const policy = await read(`${HEAD}omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: [pods/log, configmaps], resourceNames: [a]}]
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch]
  namespaces: [kube-system]
- level: None
  userGroups: ["system:authenticated"]
  nonResourceURLs: ["/api*", /version]
- level: Metadata
`)
  assert.equal((policy as { rules: unknown[] }).rules.length, 4)
})

const REFUSED: Readonly<Record<string, [text: string, message: RegExp]>> = {
  level: [`${HEAD}rules: [{level: All}]`, /rules\[0\]\.level must be one of None, Metadata/],
  field: [`${HEAD}rules: [{level: None, user: [a]}]`, /rules\[0\] has no field "user"; there are/],
  empty: [`${HEAD}rules: []`, /rules must NOT have fewer than 1 items/],
  kind: ['apiVersion: audit.k8s.io/v1\nkind: Rules\nrules: [{level: None}]', /kind must be Policy/],
  url: [`${HEAD}rules: [{level: None, nonResourceURLs: ["/a*b"]}]`, /nonResourceURLs\[0\] must be/],
  both: [
    `${HEAD}rules: [{level: None, nonResourceURLs: [/a], resources: [{group: apps}]}]`,
    /rules\[0\] is about nonResourceURLs or about resources/,
  ],
  names: [`${HEAD}rules: [{level: None, resources: [{resourceNames: [a]}]}]`, /resources/],
  yaml: ['{', /cannot be read/],
}

for (const [name, [text, message]] of Object.entries(REFUSED)) {
  test(`a policy is refused: ${name}`, async () => {
    await assert.rejects(read(text), { name: 'CliError', message })
  })
}
