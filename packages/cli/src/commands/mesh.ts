// The command lines of `podless mesh`. The work is in ../mesh/*, loaded when a command runs.

import type { Command } from 'commander'
import { hostAndPort, serverUrl } from '../option-values.ts'
import { dataOption, option, outputOption } from '../options.ts'

export function addMesh(root: Command): void {
  const mesh = root
    .command('mesh')
    .description('a whole mesh on this machine: server, istiod and demo VMs')
  addUp(mesh)
  mesh
    .command('status')
    .description('show what runs')
    .addOption(dataOption())
    .addOption(outputOption())
    .action(async values => {
      const { meshStatus } = await import('../mesh/status.ts')
      meshStatus(values)
    })
  mesh
    .command('down')
    .description('end the mesh and remove its network; as often as you like')
    .addOption(dataOption())
    .action(async values => {
      const { meshDown } = await import('../mesh/down.ts')
      await meshDown(values)
    })
  addPrepare(mesh)
  addApp(mesh)
}

function addUp(mesh: Command): void {
  const command = mesh
    .command('up')
    .description('start server, istiod and demo VMs, and keep them running until interrupted')
    .addOption(dataOption())
    .option('--vms <n>', 'how many demo VMs: echo-a, echo-b, ...', '2')
  const options = [
    option('--port <n>', 'port of the server, 0 for a free one', 'PORT').default('6443'),
    option(
      '--bootstrap-template <file>',
      "Envoy's bootstrap template of Istio (default: where Istio's packages put it)",
      'BOOTSTRAP_TEMPLATE',
    ),
  ]
  for (const item of options) command.addOption(item)
  command
    .option('--from <source>', "file, folder or URL with Istio's CRDs (default: istioctl's own)")
    .option('--detach', 'return once the mesh is up and leave it running')
    .action(async values => {
      if (values.detach === true) {
        const { meshUpDetached } = await import('../mesh/detach.ts')
        await meshUpDetached(values)
        return
      }
      const { meshUp } = await import('../mesh/up.ts')
      await meshUp(values)
    })
}

function addApp(mesh: Command): void {
  mesh
    .command('app', { hidden: true })
    .description('the app of a demo VM')
    .requiredOption('--name <name>', 'name it answers with')
    .requiredOption('--address <ip>', "the VM's address")
    .option('--namespace <name>', 'namespace of the Services it calls', 'demo')
    .action(async values => {
      const { demoApp } = await import('../mesh/demo-app.ts')
      await demoApp(values)
    })
}

function addPrepare(mesh: Command): void {
  mesh
    .command('prepare', { hidden: true })
    .argument('<step>', 'istiod, or after it is ready vms')
    .description('write the files with which istiod or the demo VMs start elsewhere')
    .addOption(dataOption())
    .requiredOption('-o, --output <dir>', 'folder to write')
    .option('--from <source>', "file, folder or URL with Istio's CRDs (default: istioctl's own)")
    .option('--server <url>', 'URL at which istiod reaches the server', serverUrl)
    .option('--discovery-address <host:port>', 'where agents reach istiod', hostAndPort)
    .action(async (step, values) => {
      const { prepare } = await import('../mesh/prepare.ts')
      await prepare(step, values)
    })
}
