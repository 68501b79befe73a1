// A kind of bearer token besides those of ServiceAccounts. jwt-authenticators.ts and bootstrap-token.ts are two;
// authenticate.ts asks them in turn. Ref: apiserver/pkg/authentication/authenticator/interfaces.go Token

import type { UserInfo } from '../resource.ts'

/** Undefined when the token is of another kind; the error is for the log. */
export type TokenOutcome = { readonly user: UserInfo } | { readonly error: string } | undefined

/** What a token is shown for. */
export interface TokenUse {
  /** False when the request changes something: a token for one use is then used up. */
  readonly isRead: boolean
}

export interface TokenAuthenticator {
  authenticate(token: string, use: TokenUse): Promise<TokenOutcome>
}
