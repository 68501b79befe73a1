// Policies seen from outside: a real server, a policy and its bindings, and writes that they judge.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { ApiClient, accessOf } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
