// The command line of `podless kubeconfig`. The work is in ../kubeconfig.ts, loaded when the command runs.

import type { Command } from 'commander'
import { dataOption, option, outputOption, serverOption } from '../options.ts'

export function addKubeconfig(root: Command): void {
  const command = root
    .command('kubeconfig')
    .argument('<who>', 'admin, istiod, a user name, or system:serviceaccount:NAMESPACE:NAME')
    .description('print a kubeconfig with its credentials inside')
  const options = [
    dataOption(),
    option('--ttl <duration>', 'how long the credentials last, such as 1h or 30d', 'TTL'),
    serverOption('server URL to write'),
    outputOption(),
  ]
  for (const item of options) command.addOption(item)
  command
    .option('--group <name...>', 'groups of the user, repeatable')
    .option('--namespace <name>', 'default namespace of the context')
    .action(async (who, values) => {
      const { kubeconfig } = await import('../kubeconfig.ts')
      await kubeconfig(who, values)
    })
}
