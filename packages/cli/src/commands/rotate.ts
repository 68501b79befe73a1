// The command line of `podless rotate`. The work is in ../rotate.ts, loaded when the command runs.

import type { Command } from 'commander'
import { dataOption, option, outputOption } from '../options.ts'
import type { RotateOptions } from '../rotate.ts'

export function addRotate(root: Command): void {
  root
    .command('rotate')
    .description('put new keys in place of old ones; the server goes on, and nobody is logged out')
    .argument('<what>', 'ca, serving (its certificate) or token-key (signs ServiceAccount tokens)')
    .addOption(dataOption())
    .addOption(
      option('--overlap <duration>', 'how long the old key stays good', 'OVERLAP').default('366d'),
    )
    .addOption(outputOption())
    .action(async (what: string, options: RotateOptions) => {
      const { rotate } = await import('../rotate.ts')
      await rotate(what, options)
    })
}
