// The command lines of `podless vm`. The work is in ../vm/*, loaded when a command runs.

import type { Command, Option } from 'commander'
import {
  dataOption,
  kubeconfigOption,
  option,
  outputOption,
  revisionOption,
  serverOption,
} from '../options.ts'

export function addVm(root: Command): void {
  const vm = root.command('vm').description('the VMs of the mesh')
  addAdd(vm)
  addBundle(vm)
  addList(vm)
  addRenew(vm)
  addRemove(vm)
}

const namespaceOption = (): Option =>
  option('-n, --namespace <name>', 'namespace of the VM', 'NAMESPACE').default('default')

const joinTtlOption = (): Option =>
  option('--join-ttl <duration>', 'how long the printed line works', 'JOIN_TTL').default('15m')

const serverOptions = (): Option[] => [dataOption(), kubeconfigOption()]

function withOptions(command: Command, options: readonly Option[]): Command {
  for (const item of options) command.addOption(item)
  return command
}

function addAdd(vm: Command): void {
  const command = vm
    .command('add')
    .argument('<name>', 'name of the VM')
    .description('add a VM and print the line that joins it')
    .option('--group <name>', 'its WorkloadGroup (default: named as the VM)')
    .option('--address <ip>', 'address others reach it at (default: its first one)')
    .option('--port <name:port...>', 'ports it serves, repeatable')
    .option('--service-account <name>', 'identity of the group (default: default)')
    .option('--labels <key=value...>', 'labels of the group, repeatable')
    .option('--network <name>', "the group's network")
    .option('--probe <check>', 'readiness: http:PORT/PATH, tcp:PORT or grpc:PORT')
    .option('--istiod-address <ip>', "where istiod's name points to on the VM, in its /etc/hosts")
  withOptions(command, [
    ...serverOptions(),
    namespaceOption(),
    serverOption('URL at which the VM reaches this server'),
    option(
      '--token-ttl <duration>',
      "how long the VM's token for istiod lasts",
      'TOKEN_TTL',
    ).default('24h'),
    joinTtlOption(),
    revisionOption(),
    outputOption(),
  ]).action(async (name, values) => {
    const { add } = await import('../vm/add.ts')
    await add(name, values)
  })
}

function addBundle(vm: Command): void {
  const command = vm
    .command('bundle')
    .argument('<name>', 'name of the VM')
    .description("write the VM's files, as istioctl x workload entry configure does")
    .requiredOption('-o, --output <dir>', 'folder to write')
    .option('--token-ttl <duration>', 'how long its token lasts', '1h')
  withOptions(command, [...serverOptions(), namespaceOption()]).action(async (name, values) => {
    const { bundle } = await import('../vm/bundle.ts')
    await bundle(name, values)
  })
}

function addList(vm: Command): void {
  const command = vm
    .command('list')
    .description('show the VMs, their health and when their credentials end')
    .option('-n, --namespace <name>', 'only of this namespace')
  withOptions(command, [...serverOptions(), outputOption()]).action(async values => {
    const { list } = await import('../vm/list.ts')
    await list(values)
  })
}

function addRenew(vm: Command): void {
  const command = vm
    .command('renew')
    .argument('<name>', 'name of the VM')
    .description('print another line that joins the VM')
    .option('--revoke', 'end the credentials it has')
  withOptions(command, [
    ...serverOptions(),
    namespaceOption(),
    joinTtlOption(),
    outputOption(),
  ]).action(async (name, values) => {
    const { renew } = await import('../vm/renew.ts')
    await renew(name, values)
  })
}

function addRemove(vm: Command): void {
  const command = vm
    .command('remove')
    .argument('<name>', 'name of the VM')
    .description("revoke a VM's credentials and take it out of the mesh")
    .option('--group', 'delete its WorkloadGroup too if this was the last VM')
  withOptions(command, [...serverOptions(), namespaceOption(), outputOption()]).action(
    async (name, values) => {
      const { remove } = await import('../vm/remove.ts')
      await remove(name, values)
    },
  )
}
