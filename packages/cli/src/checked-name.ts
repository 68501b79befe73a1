// Names given on the command line, checked before anything is written: half a VM would be left behind otherwise.
// Called by kubeconfig.ts and vm/add.ts.

import { isDns1123Label, isDns1123Subdomain, isLabelValue } from '@podless/apimachinery'
import { CliError, EXIT } from './exit.ts'

type NameCheck = (flag: string, value: string | undefined) => void

function nameCheck(problems: (value: string) => readonly string[]): NameCheck {
  return (flag, value) => {
    const [problem] = value === undefined ? [] : problems(value)
    if (problem !== undefined)
      throw new CliError(EXIT.usage, `${flag} ${JSON.stringify(value)}: ${problem}`)
  }
}

/** Throws a usage error when the flag's value is no DNS label, as namespaces are. */
export const checkLabel: NameCheck = nameCheck(isDns1123Label)
/** The same for a name of most other objects. */
export const checkName: NameCheck = nameCheck(value => isDns1123Subdomain(value))
/** The same for a value of a label. */
export const checkLabelValue: NameCheck = nameCheck(isLabelValue)
