// Steps of the golden exchanges in which podless answers otherwise than the recorded server, each with its reason.
// Read by golden.test.ts, which fails when a step differs that is not here, and when one here differs no more.

/** `area/scenario/step` -> why the recorded answer is not the one to give. */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  // The reference keeps an annotation of its own on every object and puts it back when a write leaves it out, so a
  // write that changes nothing else still changes something there. Upstream and podless write nothing.
  'configmaps/crud/update-same-again': 'the reference re-adds its own annotation',
  'configmaps/crud/change-creation-time': 'the reference re-adds its own annotation',
  'patches/json-and-merge/merge-no-op': 'the reference re-adds its own annotation',
  'patches/json-and-merge/merge-clear-managed-fields': 'its revision follows that of merge-no-op',
  'patches/json-and-merge/dry-run': 'its revision follows that of merge-no-op',
  'patches/json-and-merge/dry-run-not-stored': 'its revision follows that of merge-no-op',
  'patches/json-and-merge/with-field-manager': 'its revision follows that of merge-no-op',
  // Column descriptions are podless' own words. The runner leaves them out, but not where a step picks columns.
  'tables/custom/crd-itself': 'descriptions of columns are worded otherwise',
  // The reference refuses impersonation across its workspaces in a filter of its own, before RBAC can name what it is
  // about.
  'auth/tokens-and-csr/token-may-not-impersonate-group': 'a filter that upstream does not have',
  // The reference builds the watch cache of a CRD anew after each change of its spec and refuses lists meanwhile;
  // podless has one cache for everything, which stays warm.
  'crds/storage-versions/watch-list-v1': 'the reference answers 429 while it rebuilds a cache',
}
