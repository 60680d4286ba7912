/**
 * Our style as tests over the text of the repository. Each failure prints file, line and what to do about it.
 * The checks themselves are tested in `checks.test.ts`.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERROR_TABLE } from '../../src/kernel/errors.ts'
import { LIMIT_TABLE } from '../../src/kernel/limits.ts'
import { checkCycles } from './cycles.ts'
import { checkDocLinks, checkDocPaths, checkDocScripts } from './docs.ts'
import { checkErrorCodes } from './error-codes.ts'
import { checkFileSize, warnFileSize } from './file-size.ts'
import { type Finding, formatFinding } from './finding.ts'
import { checkLayers } from './layers.ts'
import { checkLockFile } from './lock-file.ts'
import { checkLooseEnds } from './loose-ends.ts'
import { checkMachineTraces } from './machine-traces.ts'
import { checkEmptyNames, checkFileNames, checkLimitNames, checkTimeUnits, FILE_NAME_EXCEPTIONS } from './names.ts'
import { checkPurity, checkRealTime } from './purity.ts'
import { ROOT, readRepository } from './read-repository.ts'

const files = readRepository()
const exists = (path: string): boolean => existsSync(join(ROOT, path))
const scripts = Object.keys((JSON.parse(textOf('package.json')) as { scripts: object }).scripts)

function textOf(path: string): string {
  return files.find((file) => file.path === path)?.text ?? ''
}

function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(formatFinding).sort()).toEqual([])
}

describe('structure', () => {
  it('is read at all', () => {
    expect(textOf('src/kernel/errors.ts')).toContain('SpineError')
  })
  it('keeps to the table of who may import whom', () => expectNone(checkLayers(files)))
  it('has no import cycles', () => expectNone(checkCycles(files)))
  it('keeps the pure ring pure', () => expectNone(checkPurity(files)))
  it('takes time and chance from outside', () => expectNone(checkRealTime(files)))
  it('has no file that is too long', () => {
    for (const finding of warnFileSize(files)) console.warn(formatFinding(finding))
    expectNone(checkFileSize(files))
  })
})

describe('names', () => {
  it('names files after what they export', () => expectNone(checkFileNames(files)))
  it('has no exception for a file that is gone', () => {
    const kept = Object.keys(FILE_NAME_EXCEPTIONS).filter((path) => !exists(path))
    expect(kept).toEqual([])
  })
  it('has no names that say nothing', () => expectNone(checkEmptyNames(files)))
  it('names limits with their unit', () => expectNone(checkLimitNames(LIMIT_TABLE, 'src/kernel/limits.ts')))
  it('names times with their unit', () => expectNone(checkTimeUnits(files)))
})

describe('honesty', () => {
  it('leaves nothing for later, untyped or silenced', () => expectNone(checkLooseEnds(files)))
  it('raises and provokes every error code', () => expectNone(checkErrorCodes(files, Object.keys(ERROR_TABLE))))
  it('locks what npm ci asks for', () => expectNone(checkLockFile(files)))
  it('has no traces of one machine', () => expectNone(checkMachineTraces(files, [ROOT, homedir()])))
})

describe('docs', () => {
  it('has no dead links', () => expectNone(checkDocLinks(files, exists)))
  it('names only npm scripts that exist', () => expectNone(checkDocScripts(files, scripts)))
  it('names only paths that exist', () => expectNone(checkDocPaths(files, exists)))
})
