// podless doctor: the keys and certificates of a data folder, and the kubeconfig made of them. Called by doctor.ts.

import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  issuedByOneOf,
  openPki,
  type Pki,
  parseCertificate,
  servingCertificateFits,
} from '@podless/identity'
import { EXIT } from '../exit.ts'
import { explained } from '../open-store.ts'
import { readServerAccess } from '../server-client.ts'
import { type Finding, fail, failed, ok, type Patient, warn } from './finding.ts'

const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
/** Without one of these, opening the folder would make new keys. */
const KEYS = ['ca.crt', 'ca.key', 'sa.key', 'sa.pub']

/** The authority, then the certificate it gave the server: what the first has no answer for, the second is not asked. */
export async function checkKeys(
  patient: Patient,
  advertise: string | undefined,
): Promise<Finding[]> {
  try {
    const directory = join(patient.data, 'pki')
    for (const name of KEYS) await access(join(directory, name))
    const pki = await explained(() => openPki(patient.data, { now: patient.now }))
    return [authorityOf(pki, patient), await servingOf(pki, patient, advertise)]
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) return [failed('keys', error)]
    const cure = 'podless up makes them, podless restore brings them back'
    return [fail('keys', `${error.message}; ${cure}`, EXIT.data)]
  }
}

function authorityOf(pki: Pki, { now }: Patient): Finding {
  const until = endOf(pki.authority.certificate)
  const left = until.getTime() - now.getTime()
  const cure = 'podless rotate ca makes a new one'
  if (left <= 0) return fail('keys', `the authority ended ${dayOf(until)}; ${cure}`, EXIT.data)
  if (left < SOON_MS) return warn('keys', `the authority ends ${dayOf(until)}; ${cure}`)
  return ok('keys', `the authority ends ${dayOf(until)}`)
}

async function servingOf(
  pki: Pki,
  { now }: Patient,
  advertise: string | undefined,
): Promise<Finding> {
  const check = 'certificate'
  const path = join(pki.directory, 'apiserver.crt')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  const cure = 'start podless up with that --advertise, or podless rotate serving'
  if (text === undefined) return warn(check, `there is no ${path} yet; podless up makes it`)
  const host = advertise?.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  const names = host === undefined ? [] : [host]
  const until = endOf(text)
  if (!servingCertificateFits(text, pki.authority, { names, now, marginSeconds: 0 })) {
    const what = host === undefined ? 'has ended or is of other keys' : `may not name ${host}`
    return fail(check, `the server's (${dayOf(until)}) ${what}; ${cure}`, EXIT.data)
  }
  return ok(check, `the server's ends ${dayOf(until)}${host ? ` and names ${host}` : ''}`)
}

/** Whether what podless up wrote for the admin is still good. */
export async function checkKubeconfig({ data, now }: Patient): Promise<Finding> {
  const check = 'kubeconfig'
  const path = join(data, 'admin.kubeconfig')
  const cure = 'podless up writes it anew at each start'
  try {
    const { certificate = '' } = await readServerAccess(path)
    const read = parseCertificate(certificate)
    if (read === undefined) return fail(check, `${path} holds no certificate; ${cure}`, EXIT.data)
    const until = new Date(read.validTo)
    if (until < now) return fail(check, `${path} ended ${dayOf(until)}; ${cure}`, EXIT.data)
    if (!issuedByOneOf(await readFile(join(data, 'pki', 'ca.crt'), 'utf8'))(read))
      return fail(check, `${path} is of other keys than pki/; ${cure}`, EXIT.data)
    return ok(check, `${path} ends ${dayOf(until)}`)
  } catch (error) {
    return failed(check, error)
  }
}

const endOf = (pem: string): Date => new Date(parseCertificate(pem)?.validTo ?? '')

const dayOf = (time: Date): string =>
  Number.isNaN(time.getTime()) ? 'at no date' : time.toISOString().slice(0, 10)
