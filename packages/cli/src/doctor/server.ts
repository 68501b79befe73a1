// podless doctor: whether the server answers, is ready and has the same time. Called by doctor.ts.

import { EXIT } from '../exit.ts'
import { type Answer, openServer, type ServerOptions } from '../server-client.ts'
import { type Finding, fail, failed, ok, type Patient, warn } from './finding.ts'

/** Certificates and tokens are made a little in the past; more than this and they are not good yet, or no more. */
const SKEW_MS_MAX = 5 * 60_000

export async function checkServer(patient: Patient, options: ServerOptions): Promise<Finding[]> {
  try {
    const client = await openServer(options)
    try {
      const answer = await client.send('GET', '/readyz')
      const { server } = client.access
      return [readinessOf(server, answer), clockOf(answer, patient.now)]
    } finally {
      client.close()
    }
  } catch (error) {
    return [failed('server', error)]
  }
}

function readinessOf(server: string, { code }: Answer): Finding {
  if (code === 200) return ok('server', `${server} is ready`)
  const what = `${server} answers ${code} to /readyz`
  if (code === 401 || code === 403) {
    const cure = 'podless kubeconfig admin makes new credentials'
    return fail('server', `${what}; ${cure}`, EXIT.refused)
  }
  return fail('server', `${what}; its log says why it is not ready`, EXIT.unavailable)
}

function clockOf({ date }: Answer, now: Date): Finding {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return warn('clock', 'the server told no time to compare with')
  const skew = Math.abs(theirs - now.getTime())
  if (skew <= SKEW_MS_MAX) return ok('clock', "the server's agrees with this machine's")
  const seconds = Math.round(skew / 1000)
  const cure = 'set both by NTP, or certificates and tokens are refused'
  return warn('clock', `the server's is ${seconds} s away from this machine's; ${cure}`)
}
