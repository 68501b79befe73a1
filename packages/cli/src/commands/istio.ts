// The command lines of `podless istio`. The work is in ../istio/*, loaded when a command runs.

import type { Command } from 'commander'
import { domain, hostAndPort } from '../option-values.ts'
import {
  clusterOption,
  dataOption,
  kubeconfigOption,
  option,
  outputOption,
  revisionOption,
  serverOption,
} from '../options.ts'

export function addIstio(root: Command): void {
  const istio = root.command('istio').description('what an istiod and its mesh need here')
  addInstall(istio)
  addEnv(istio)
  addRemoteSecret(istio)
}

function addInstall(istio: Command): void {
  const command = istio
    .command('install')
    .description("apply Istio's CRDs and the minimal set for a mesh of VMs")
    .option('--from <source>', "file, folder or URL with Istio's CRDs (default: istioctl's own)")
    .option('--discovery-address <host:port>', 'where agents reach istiod', hostAndPort)
    .option('--trust-domain <domain>', "the mesh's trust domain", domain)
  const options = [
    dataOption(),
    kubeconfigOption(),
    revisionOption(),
    clusterOption(),
    outputOption(),
  ]
  for (const item of options) command.addOption(item)
  command.action(async values => {
    const { install } = await import('../istio/install.ts')
    await install(values)
  })
}

function addEnv(istio: Command): void {
  const command = istio
    .command('env')
    .description('print the environment and flags istiod needs')
    .option('--name <name>', 'name of this istiod, unique among them', 'istiod-0')
    .option('--istiod-kubeconfig <file>', 'kubeconfig to name in the flags', 'istiod.kubeconfig')
    .option('--stock-envoy', "the VMs run an Envoy without Istio's filters")
    .option('--single', 'no other istiod runs: leave leader election out')
  for (const item of [revisionOption(), clusterOption(), outputOption()]) command.addOption(item)
  command.action(async values => {
    const { env } = await import('../istio/env.ts')
    env(values)
  })
}

function addRemoteSecret(istio: Command): void {
  const command = istio
    .command('remote-secret')
    .description('print the Secret with which another istiod reads this server')
    .option('--name <cluster>', "this server's name in the other mesh", 'podless')
    .option('--namespace <name>', 'namespace of the Secret', 'istio-system')
  const options = [
    dataOption(),
    kubeconfigOption(),
    serverOption('URL at which the other istiod reaches this server'),
    option('--ttl <duration>', 'how long its token lasts', 'TTL').default('365d'),
    outputOption(),
  ]
  for (const item of options) command.addOption(item)
  command.action(async values => {
    const { remoteSecret } = await import('../istio/remote-secret.ts')
    await remoteSecret(values)
  })
}
