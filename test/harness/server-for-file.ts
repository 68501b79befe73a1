// The server that all tests of one file share, and a client that may do everything. Used by test files at their top level.

import { after } from 'node:test'
import { ApiClient } from './api-client.ts'
import { type StartOptions, startServer, type TestServer } from './server.ts'

export interface ServerForFile {
  readonly server: TestServer
  /** In group system:masters. */
  readonly admin: ApiClient
}

/** Starts the server; both end after the file's tests. */
export async function serverForFile(options: StartOptions = {}): Promise<ServerForFile> {
  const server = await startServer(options)
  const admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  after(async () => {
    admin.close()
    await server.close()
  })
  return { server, admin }
}
