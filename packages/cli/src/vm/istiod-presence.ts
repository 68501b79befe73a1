// Whether an istiod is connected to this server, by its watch of WorkloadGroups. Used by list.ts: what an istiod that died
// has written of a VM says nothing about it.

import type { ServerClient } from '../server-client.ts'

const METRIC = 'apiserver_longrunning_requests'
const WATCH = new RegExp(
  `^${METRIC}\\{verb="WATCH",group="networking\\.istio\\.io",[^}]*resource="workloadgroups"\\} [1-9]`,
  'm',
)

/** True as well when the server does not tell: an older one, or one whose metrics this user may not read. */
export async function istiodIsPresent(client: ServerClient): Promise<boolean> {
  const { code, text } = await client.send('GET', '/metrics')
  return code !== 200 || !text.includes(METRIC) || WATCH.test(text)
}
