// The command line of `podless backup`. The work is in ../backup.ts, loaded when the command runs.

import type { Command } from 'commander'
import type { BackupOptions } from '../backup.ts'
import { dataOption, outputOption, storeOption } from '../options.ts'

export function addBackup(root: Command): void {
  const command = root
    .command('backup')
    .description(
      'copy objects and keys of a data folder, also of a running server, into a new folder',
    )
    .argument('<folder>', 'the folder to make; it is as secret as the data folder')
  for (const item of [dataOption(), storeOption(), outputOption()]) command.addOption(item)
  command.action(async (folder: string, options: BackupOptions) => {
    const { backup } = await import('../backup.ts')
    await backup(folder, options)
  })
}
