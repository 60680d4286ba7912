import { defineConfig } from 'vitest/config'

/** `.ci/run` counts tests from a file, because the text that a runner prints may change. */
const report = process.env['SPINE_TEST_REPORT']

const shared = {
  pool: 'forks' as const,
  // A crash test kills what it started and an engine test waits for a disk: generous, but never a hang.
  testTimeout: 20_000,
  hookTimeout: 20_000,
  teardownTimeout: 10_000,
  restoreMocks: true,
}

/** Benches in small, real processes killed again and again, and long seeded runs. */
const slow = ['test/bench/**/*.test.ts', 'test/crash/**/*.test.ts', 'test/simulation/**/*.test.ts']

export default defineConfig({
  test: {
    // Two cores are what CI has; more workers would only make timing tests compete with each other.
    maxWorkers: 2,
    // The loudest way to lose a test is to forget that it is focused.
    allowOnly: false,
    reporters: report === undefined ? ['default'] : ['default', 'json'],
    ...(report === undefined ? {} : { outputFile: { json: report } }),
    projects: [
      // Beside the source, on the source: no build, no I/O.
      { test: { ...shared, name: 'unit', include: ['src/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { ...shared, name: 'tidy', include: ['tools/**/*.test.ts'] } },
      // What users get: these import the package by its own name, so `dist/` must be built (`npm test` does).
      { test: { ...shared, name: 'package', include: ['test/**/*.test.ts'], exclude: slow, testTimeout: 60_000 } },
      // Left out of `npm run verify`, part of `npm test`.
      { test: { ...shared, name: 'slow', include: slow, testTimeout: 180_000 } },
    ],
  },
})
