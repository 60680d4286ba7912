// Adds up Vitest's JSON reports and prints the verdict. Arguments: report files, `--`, names of stages that failed.
// Red: a failed test or stage, a report that is missing or without a test, a test that was skipped.
import { existsSync, readFileSync } from 'node:fs'

const split = process.argv.indexOf('--')
const failures = process.argv.slice(split + 1).map((stage) => `stage: ${stage}`)
let passed = 0

for (const file of process.argv.slice(2, split)) {
  if (!existsSync(file)) {
    failures.push(`no report: ${file.split('/').at(-1)}`)
    continue
  }
  const { testResults } = JSON.parse(readFileSync(file, 'utf8'))
  const tests = testResults.flatMap((suite) => suite.assertionResults)
  const named = (test) => `${test.status}: ${test.fullName}`
  passed += tests.filter((test) => test.status === 'passed').length
  failures.push(...tests.filter((test) => test.status !== 'passed').map(named))
  // A file that could not even be loaded has no tests to blame.
  const broken = testResults.filter((suite) => suite.status === 'failed' && suite.assertionResults.length === 0)
  failures.push(...broken.map((suite) => `file: ${suite.name.replace(`${process.cwd()}/`, '')}`))
  if (tests.length === 0) failures.push(`no test ran: ${file.split('/').at(-1)}`)
}

console.log()
for (const failure of failures) console.log(failure)
console.log(`${passed} passed, ${failures.length} failed`)
process.exit(failures.length === 0 && passed > 0 ? 0 : 1)
