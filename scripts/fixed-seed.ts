// Lets every property draw the same examples in each run of the suite: one that fails does so on a change, never by chance.
// scripts/test.ts imports it into each test file; FAST_CHECK_SEED=NUMBER draws others.

import fc from 'fast-check'

const DEFAULT_SEED = 20_261_123

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  seed: Number(process.env.FAST_CHECK_SEED ?? DEFAULT_SEED),
})
