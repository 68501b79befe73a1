// Whether an istiod is connected to this server, by its watch of WorkloadGroups. Used by list.ts: what an istiod that died
// has written of a VM says nothing about it.

import type { ServerClient } from '../server-client.ts'

const WATCHES =
  /^apiserver_longrunning_requests\{verb="WATCH",group="networking\.istio\.io",[^}]*resource="workloadgroups"\} ([1-9]\d*)$/m

/** True as well when the server does not tell: a user may list VMs without the right to read metrics. */
export async function istiodIsPresent(client: ServerClient): Promise<boolean> {
  const { code, text } = await client.send('GET', '/metrics')
  return code !== 200 || WATCHES.test(text)
}
